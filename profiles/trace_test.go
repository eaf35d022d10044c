package profiles

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
)

func gz(t testing.TB, s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, s)
	if err != nil || w.Close() != nil {
		t.Fatal("gzip")
	}
	return b.Bytes()
}

func zst(t testing.TB, s string) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(s), nil)
}

type parquetRow struct {
	T     float64 `parquet:"t_s"`
	Model string  `parquet:"model"`
	In    int64   `parquet:"input_tokens"`
	Out   *int32  `parquet:"output_tokens"`
}

func pq(t testing.TB, rows []parquetRow) []byte {
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// onlyRead hides ReadAt, as a file inside an archive has none.
type onlyRead struct{ fs.FS }

func (o onlyRead) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	return struct{ fs.File }{f}, err
}

func TestTraceFormats(t *testing.T) {
	jsonl := `{"t_s":0.5,"input_tokens":10,"output_tokens":20,"user":"x"}

{"t_s":1,"input_tokens":11}
`
	rows := []parquetRow{{0.5, "a", 10, new(int32(20))}, {1, "b", 11, nil}}
	for _, c := range []struct {
		file string
		data []byte
	}{
		{"a.csv", []byte("t_s,input_tokens,output_tokens\n0.5,10,20\n1,11,\n")},
		{"columns-in-another-order.csv", []byte("\ufeffoutput_tokens, t_s ,model,input_tokens\r\n20,0.5,x,10\r\n,1,y,11\r\n")},
		{"a.csv.gz", gz(t, "t_s,input_tokens,output_tokens\n0.5,10,20\n1,11,\n")},
		{"a.csv.zst", zst(t, "t_s,input_tokens,output_tokens\n0.5,10,20\n1,11,\n")},
		{"misnamed", gz(t, jsonl)},
		{"a.jsonl", []byte(jsonl)},
		{"a.parquet", pq(t, rows)},
	} {
		for _, fsys := range []fs.FS{fstest.MapFS{c.file: {Data: c.data}}, onlyRead{fstest.MapFS{c.file: {Data: c.data}}}} {
			p, err := Parse("p.yaml", fmt.Appendf(nil, "stages: [{trace: {file: %s}}]", c.file), fsys)
			if err != nil {
				t.Errorf("%s: %v", c.file, err)
				continue
			}
			got := fmt.Sprint(p.Stages[0].Trace.rows, p.Duration())
			if want := "[{500000000 10 20} {1000000000 11 -1}] 2s"; got != want {
				t.Errorf("%s: %s, want %s", c.file, got, want)
			}
		}
	}
}

func TestBadTraces(t *testing.T) {
	for _, c := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"no header", "a.csv", []byte("1,2,3\n"), `a.csv:1: no column t_s in the header "1,2,3"` + "\n  Try: a first line of t_s,input_tokens,output_tokens"},
		{"a column named twice", "a.csv", []byte("t_s,x,t_s\n1,2,3\n"), "a.csv:1: columns 1 and 3 are both named t_s\n  Try: rename or remove one of them"},
		{"a misspelt column", "a.csv", []byte("ts,x\n"), `a.csv:1: no column t_s in the header "ts,x"` + "\n  Try: rename ts to t_s"},
		{"no rows", "a.csv", []byte("t_s\n"), "p.yaml:1: stages[0].trace.file: a.csv has no arrivals\n  Try: rows below the header"},
		{"an empty file", "a.csv", nil, "p.yaml:1: stages[0].trace.file: a.csv: is empty"},
		{"half a gzip file", "a.csv.gz", gz(t, "t_s\n1\n")[:20], "p.yaml:1: stages[0].trace.file: a.csv.gz: the file is cut off: it ends in the middle"},
		{"half a token", "a.csv", []byte("t_s,input_tokens\n1,2.5\n"), "a.csv:2: input_tokens: 2.5 is not a whole number from 0 to 100000000\n  Try: leave it empty if it is unknown"},
		{"a time that is no number", "a.csv", []byte("t_s\n\"\n\"\n"), "a.csv:2: t_s: \"\" is not a number"},
		{"infinite", "a.csv", []byte("t_s\n1e999\n"), "a.csv:2: t_s: time +Inf is not a finite number"},
		{"a year and more", "a.csv", []byte("t_s\n1e9\n"), "a.csv:2: t_s: time 1e+09 is beyond a year"},
		{"broken JSON", "a.jsonl", []byte("{\"t_s\":1}\n{\n"), "a.jsonl:2: is not JSON: unexpected end of JSON input"},
		{"JSON without its time", "a.jsonl", []byte("{\"ts\":1}\n"), "a.jsonl:1: t_s: is missing"},
		{"unordered Parquet names the row", "a.parquet", pq(t, []parquetRow{{2, "", 0, nil}, {1, "", 0, nil}}), "a.parquet:2: t_s: time 1 is before the row above, at 2"},
		{"half a Parquet file", "a.parquet", pq(t, []parquetRow{{2, "", 0, nil}})[:40], "p.yaml:1: stages[0].trace.file: a.parquet: damaged Parquet: "},
		{"a folder", "a/b", nil, "p.yaml:1: stages[0].trace.file: a: is a folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, _, _ := strings.Cut(c.file, "/")
			_, err := Parse("p.yaml", fmt.Appendf(nil, "stages: [{trace: {file: %s}}]", name), fstest.MapFS{c.file: {Data: c.data}})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

func TestManyBadRowsAreFewProblems(t *testing.T) {
	_, err := Parse("p.yaml", []byte("stages: [{trace: {file: trace.csv}}]"), files("t_s\n"+strings.Repeat("NaN\n", 1000)))
	if n := strings.Count(err.Error(), "\n"); n > 2*maxReported+2 || !strings.Contains(err.Error(), "and more; only the first 20 are listed") {
		t.Errorf("%d lines:\n%v", n, err)
	}
}

func TestTraceIsSentOneByOne(t *testing.T) {
	p := parse(t, "stages: [{rate: 0/s, duration: 7s}, {trace: {file: trace.csv, from: 1s, to: 40s}}]")
	for seed := range int64(3) {
		var got []string
		for a := range p.Arrivals(seed) {
			got = append(got, fmt.Sprint(a))
		}
		if s, want := strings.Join(got, " "), "{0 7s 1 0 11 21} {1 45.9s 1 0 12 22}"; s != want {
			t.Errorf("seed %d: %s, want %s", seed, s, want)
		}
	}
	slow := parse(t, "stages: [{trace: {file: trace.csv, from: 1s, to: 40s, scale_time: 2}}]")
	var at []time.Duration
	for a := range slow.Arrivals(1) {
		at = append(at, a.At)
	}
	if got, want := fmt.Sprint(at, slow.Duration()), "[0s 1m17.8s] 1m18s"; got != want {
		t.Errorf("scale_time 2: %s, want %s", got, want)
	}
}

func TestScaleRate(t *testing.T) {
	var b strings.Builder
	b.WriteString("t_s\n")
	r := rand.New(rand.NewPCG(1, 1))
	at := 0.0
	for range 20_000 {
		at += r.ExpFloat64() / 10
		fmt.Fprintf(&b, "%.6f\n", at)
	}
	for _, scale := range []float64{0.25, 1, 1.5, 2, 3.3} {
		p, err := Parse("p", fmt.Appendf(nil, "stages: [{trace: {file: trace.csv, scale_rate: %g}}]", scale), files(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		n, last := 0, time.Duration(0)
		for a := range p.Arrivals(9) {
			if a.At < last {
				t.Fatalf("scale_rate %g: %v after %v", scale, a.At, last)
			}
			n, last = n+1, a.At
		}
		if want := 20_000 * scale; math.Abs(float64(n)-want) > 4*math.Sqrt(20_000*0.25) {
			t.Errorf("scale_rate %g sent %d, want about %g", scale, n, want)
		}
		if whole := math.Trunc(scale) == scale; whole && float64(n) != 20_000*scale {
			t.Errorf("scale_rate %g sent %d", scale, n)
		}
		if got := p.Expected(0, p.Duration()); math.Abs(got-20_000*scale) > 1e-6 {
			t.Errorf("scale_rate %g expects %g", scale, got)
		}
	}
}

// TestRealTrace reads a public recording whole, where it is at hand.
func TestRealTrace(t *testing.T) {
	fsys := os.DirFS("../../shared/traces")
	const file = "azure-llm-2023-conv.csv.gz"
	if _, err := fs.Stat(fsys, file); err != nil {
		t.Skip("the recorded traces are not beside this repository")
	}
	p, err := Parse("p", []byte("stages: [{trace: {file: "+file+"}}]"), fsys)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(all)), "\n")[1:]
	n := 0
	for a := range p.Arrivals(1) {
		if got := fmt.Sprintf("%.4f,%d,%d", a.At.Seconds(), a.Prompt, a.Max); got != rows[n] {
			t.Fatalf("arrival %d is %s, the file says %s", n, got, rows[n])
		}
		n++
	}
	if n != len(rows) || n != 19_366 {
		t.Errorf("%d arrivals of %d rows, want 19366", n, len(rows))
	}
}

func FuzzTrace(f *testing.F) {
	f.Add([]byte("t_s,input_tokens,output_tokens\n0.5,10,20\n1,11,\n"))
	f.Add([]byte("t_s\nNaN\n-1\n1e999\n0x1p-2\n"))
	f.Add([]byte(`{"t_s":0.5}` + "\n"))
	f.Add(gz(f, "t_s\n1\n"))
	f.Add(zst(f, "t_s\n1\n"))
	f.Add(pq(f, []parquetRow{{0.5, "a", 10, new(int32(20))}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p", []byte("stages: [{trace: {file: x, scale_rate: 1.5}}]"), fstest.MapFS{"x": {Data: data}})
		if err != nil {
			return
		}
		last := time.Duration(0)
		for a := range p.Arrivals(1) {
			if a.At < last || a.At >= p.Duration() || a.Prompt < 0 || a.Max < 0 {
				t.Fatalf("%+v after %v, of %v", a, last, p.Duration())
			}
			last = a.At
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	for _, name := range Names() {
		b, err := fs.ReadFile(Shipped(), name+".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p", data, files(smallTrace))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		n, last := 0, time.Duration(0)
		for a := range p.Arrivals(p.Seed) {
			if n++; n > 10_000 {
				break
			}
			if a.At < last || a.At >= p.Duration() || int(a.Stage) >= len(p.Stages) || a.Prompt < 0 || a.Max < 0 {
				t.Fatalf("%+v after %v, of %v", a, last, p.Duration())
			}
			last = a.At
		}
		if peak := float64(p.Peak()); math.IsNaN(peak) || peak < 0 {
			t.Errorf("peak %v", peak)
		}
		p.Sketch(20, 3)
	})
}
