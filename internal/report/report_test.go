package report

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with testdata/name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; see what -update changes:\n%s", path, firstDifference(got, want))
	}
}

func firstDifference(got, want []byte) string {
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			k := 0 // the lines with a chart's data are long: show from a little before the difference
			for k < min(len(g[i]), len(w[i])) && g[i][k] == w[i][k] {
				k++
			}
			cut := func(b []byte) []byte { return b[max(k-60, 0):min(k+60, len(b))] }
			return fmt.Sprintf("line %d\ngot  …%s…\nwant …%s…", i+1, cut(g[i]), cut(w[i]))
		}
	}
	return "one is longer"
}

func TestHTML(t *testing.T) {
	for name, page := range pages() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := HTML(&b, page, Assets{Script: []byte("/* chart script */"), Style: []byte("/* chart style */")}); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".html", b.Bytes())
		})
	}
}
