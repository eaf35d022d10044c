package live

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/hpatune/hpatune/results"
)

var update = flag.Bool("update", false, "write the golden files")

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// half is a view in the middle of a run that climbs and misses its limit for a while.
func half() *view {
	o := demo(20)
	v := newView(o)
	for i := range 3 {
		v.add(results.Pod{At: -time.Minute, Name: string(rune('a' + i)), Phase: results.PodReady})
	}
	for s := 0; s < 330; s++ {
		at := time.Duration(s) * time.Second
		first := 900 * time.Millisecond
		if s > 120 && s < 200 {
			first = time.Duration(s-110) * 150 * time.Millisecond
		}
		for range 1 + s/60 {
			v.add(results.Request{Scheduled: at - 7*time.Second, First: at - 7*time.Second + first, Last: at, Done: at, Outcome: results.OK})
		}
		if s == 180 {
			v.add(results.Sync{At: at, Spec: 3, Replicas: 6, Reason: "cpu resource utilization (percentage of request) above target"})
		}
		if s == 210 {
			for i := range 3 {
				v.add(results.Pod{At: at, Name: string(rune('d' + i)), Phase: results.PodReady})
			}
		}
	}
	return &v
}

func TestFrame(t *testing.T) {
	for name, c := range map[string]struct {
		v     *view
		at    time.Duration
		width int
	}{
		"half":   {half(), 330 * time.Second, 80},
		"narrow": {half(), 330 * time.Second, 50},
		"begin":  {func() *view { v := newView(demo(20)); return &v }(), 0, 80},
	} {
		t.Run(name, func(t *testing.T) {
			got := []byte(escapes.ReplaceAllString(c.v.frame(c.at, c.width), ""))
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v; write it with -update", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("frame differs from %s:\n%s", path, got)
			}
		})
	}
}

func TestChart(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name       string
		bars, line []float64
		want       string
	}{
		{"bars from nothing to the top", []float64{0, 1, 4, 8}, []float64{nan, nan, nan, nan}, "       8    █\n       0  ▂██"},
		{"a line where no bar hides it", []float64{0, 8, nan, nan}, []float64{8, 8, 8, 1}, "       8 ╌█╌ \n       0  █ ╌"},
		{"a little is not nothing", []float64{0.01, 0, 0, 0}, []float64{nan, nan, nan, nan}, "       8     \n       0 ▁   "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := chart(c.bars, c.line, 2, 8, func(float64) string { return "8" }, func(int) lipgloss.Style { return blue }, faint)
			if text := escapes.ReplaceAllString(strings.Join(got, "\n"), ""); text != c.want {
				t.Errorf("chart(%v, %v):\n%s\nwant\n%s", c.bars, c.line, text, c.want)
			}
		})
	}
}
