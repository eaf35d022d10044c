package source

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

type tokens struct{ Mean, CV float64 }

func (t *tokens) UnmarshalSource(v Value) {
	if _, ok := v.Scalar(); ok {
		v.Decode(&t.Mean)
		return
	}
	v.Decode(&struct {
		Mean *float64 `json:"mean"`
		CV   *float64 `json:"cv"`
	}{&t.Mean, &t.CV})
}

type even int

func (e *even) UnmarshalText(b []byte) error {
	if string(b) != "2" {
		return &Hint{"odd " + string(b), "2"}
	}
	*e = 2
	return nil
}

type embedded struct {
	Kind string `json:"kind,omitempty"`
}

type sample struct {
	embedded `json:",inline"`
	Name     string            `json:"name"`
	Count    int32             `json:"count"`
	Ratio    float64           `json:"ratio"`
	On       *bool             `json:"on"`
	Wait     time.Duration     `json:"wait"`
	Even     even              `json:"even"`
	Tokens   *tokens           `json:"tokens"`
	Labels   map[string]string `json:"labels"`
	Stages   []sample          `json:"stages"`
	Any      any               `json:"any"`
}

func decode(t testing.TB, text string) (sample, Problems) {
	t.Helper()
	docs, ps := Parse("f.yaml", []byte(text))
	var s sample
	if len(docs) > 0 {
		ps = append(ps, docs[0].Decode(&s)...)
	}
	return s, ps
}

func TestDecodeFills(t *testing.T) {
	s, ps := decode(t, `
kind: K
name: "7"
count: -3
ratio: 2
on: false
wait: 1m30s
even: 2
tokens: {mean: 3, cv: 0.5}
labels: &l {a.b/c: x}
stages: [{name: s, labels: *l, tokens: 4}, {<<: {name: merged, count: 1}, count: 2}]
any: {x: [1, 2.5, true, null, text]}
`)
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	got := fmt.Sprintf("%s %q %d %g %t %v %d %+v %v", s.Kind, s.Name, s.Count, s.Ratio, *s.On, s.Wait, s.Even, *s.Tokens, s.Labels)
	if want := `K "7" -3 2 false 1m30s 2 {Mean:3 CV:0.5} map[a.b/c:x]`; got != want {
		t.Errorf("decoded %s, want %s", got, want)
	}
	got = fmt.Sprintf("%v %g %s %d %v", s.Stages[0].Labels, s.Stages[0].Tokens.Mean, s.Stages[1].Name, s.Stages[1].Count, s.Any)
	if want := "map[a.b/c:x] 4 merged 2 map[x:[1 2.5 true <nil> text]]"; got != want {
		t.Errorf("decoded %s, want %s", got, want)
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown field is named with its line and the nearest one", "name: a\nstage:\n- name: b", "f.yaml:2: stage: unknown field \"stage\"\n  Try: stages"},
		{"an unknown field near none lists them", "zzzzzz: 1", "f.yaml:1: zzzzzz: unknown field \"zzzzzz\"\n  Try: one of any, count, even, kind, labels, name, on, ratio, stages, tokens, wait"},
		{"a key written twice names the first", "name: a\nname: b", "f.yaml:2: name: is written twice; first on line 1\n  Try: keep one of them"},
		{"a number where text belongs is to be quoted", "stages:\n- labels: {x: 1}", "f.yaml:2: stages[0].labels.x: is number 1, should be text\n  Try: \"1\""},
		{"a quoted number where a number belongs", "count: '5'", "f.yaml:1: count: is \"5\", should be a whole number\n  Try: 5, without quotes"},
		{"a quoted NaN is no number without its quotes either", "ratio: 'NaN'", "f.yaml:1: ratio: is \"NaN\", should be a number"},
		{"text where a number belongs", "count: many", "f.yaml:1: count: is \"many\", should be a whole number"},
		{"a fraction where a whole number belongs", "count: 1.5", "f.yaml:1: count: is 1.5, should be a whole number"},
		{"a number out of range", "count: 3000000000", "f.yaml:1: count: 3000000000 is out of range\n  Try: at most 2147483647"},
		{"NaN is no number", "ratio: .nan", "f.yaml:1: ratio: .nan is not a finite number"},
		{"a duration needs its unit", "wait: 5", "f.yaml:1: wait: duration 5 has no unit\n  Try: 5s"},
		{"a duration that is none", "wait: soon", "f.yaml:1: wait: \"soon\" is not a duration\n  Try: 30s, 5m or 1h30m"},
		{"a hint is shown", "even: 3", "f.yaml:1: even: odd 3\n  Try: 2"},
		{"a map where a list belongs", "stages: {name: a}", "f.yaml:1: stages: is a map, should be a list"},
		{"a list where text belongs", "name: [a]", "f.yaml:1: name: is a list, should be text\n  Try: write one value, without the dash or brackets"},
		{"a scalar where a map belongs", "stages: [x]", "f.yaml:1: stages[0]: is \"x\", should be a map of fields"},
		{"a field of a value that reads itself", "tokens:\n  mean: 1\n  cw: 2", "f.yaml:3: tokens.cw: unknown field \"cw\"\n  Try: cv"},
		{"syntax errors have a line", "name: [a", "f.yaml:1: not YAML: did not find expected ',' or ']'\n  Try: check the indentation, the colons and the quotes above this line"},
		{"all at once", "nam: a\ncount: x\nwait: 5", "f.yaml:1: nam: unknown field \"nam\"\n  Try: name\nf.yaml:2: count: is \"x\", should be a whole number\nf.yaml:3: wait: duration 5 has no unit\n  Try: 5s"},
		{"an alias inside itself ends", "stages: &a [{stages: *a}]", "nested deeper than 100"},
		{"an alias bomb is refused", bomb(), "more than 1048576 values once aliases are expanded"},
		{"deep brackets are refused before they are parsed", strings.Repeat("[", 5000), "f.yaml:1: more than 1000 brackets are open\n  Try: close them"},
		{"a file that is too long is not read", strings.Repeat("#", MaxBytes+1), "f.yaml: 8388609 bytes; at most 8388608 are read\n  Try: split the file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ps := decode(t, c.text)
			if got := ps.Error(); got != c.want && (len(c.want) > 60 || !strings.Contains(got, c.want)) {
				t.Errorf("got\n%.1000s\nwant\n%s", got, c.want)
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("any:\n  - &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&b, "  - &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i+1, i, i, i, i, i, i, i, i, i, i)
	}
	return b.String()
}

func TestDocuments(t *testing.T) {
	docs, ps := Parse("f", []byte("# nothing\n---\nkind: A\nmetadata:\n  annotations:\n    x/y: z\n---\n---\n{\"kind\": \"List\", \"items\": [\n{\"kind\": \"B\"}]}\n"))
	if len(ps) > 0 || len(docs) != 2 {
		t.Fatalf("Parse = %d documents, %v", len(docs), ps)
	}
	if kind, ok := docs[0].Text("kind"); kind != "A" || !ok {
		t.Errorf("Text(kind) = %q, %t", kind, ok)
	}
	if _, ok := docs[0].Text("metadata"); ok {
		t.Error("a map is no text")
	}
	for path, want := range map[string]int{"": 3, "kind": 3, "metadata.annotations[x/y]": 6, "metadata.annotations.w": 5, "spec.replicas": 3, "kind[0]": 3} {
		if got := docs[0].Line(path); got != want {
			t.Errorf("Line(%s) = %d, want %d", path, got, want)
		}
	}
	items := docs[1].Items("items")
	if len(items) != 1 || items[0].Line("kind") != 10 || !items[0].Has("kind") || items[0].Has("x") {
		t.Errorf("Items = %+v", items)
	}
	if b, ps := docs[1].JSON(); string(b) != `{"items":[{"kind":"B"}],"kind":"List"}` || len(ps) > 0 {
		t.Errorf("JSON = %s, %v", b, ps)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"rate", "ramp", "duration", "prompt_tokens", "stabilizationWindowSeconds"}
	for word, want := range map[string]string{"rates": "rate", "durration": "duration", "promptTokens": "prompt_tokens", "stabilisationWindowSeconds": "stabilizationWindowSeconds", "zebra": "", "x": "", "": ""} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"name: a\nstages: [{wait: 5s}]", bomb(), "a: &a [*a]", "<<: {name: x}", "? [a]\n: b", "x: !!binary aGk=", "- - - -", "{\"a\":1}", "any: 0x10\nratio: 1_000.5", "<<: [*x, {}]", "tokens: {mean: .inf}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, ps := Parse("f", data)
		for _, d := range docs {
			var s sample
			ps = append(ps, d.Decode(&s)...)
			if b, more := d.JSON(); len(more) == 0 && len(b) == 0 {
				t.Error("no problem and no JSON")
			}
		}
		for _, p := range ps {
			if p.Text == "" || p.Line < 0 {
				t.Errorf("a problem without a text or with line %d", p.Line)
			}
		}
	})
}

func TestByteOrderMarks(t *testing.T) {
	utf16 := func(text string) string { // little-endian, as PowerShell's > writes it
		out := "\xff\xfe"
		for _, r := range text {
			out += string([]byte{byte(r), byte(r >> 8)})
		}
		return out
	}
	for text, want := range map[string]string{
		"\ufeffname: a":                "name: a",
		"name: a\n---\n\ufeffname: b":  "name: a\n---\nname: b",
		utf16("name: é"):               "name: é",
		"\xfe\xff\x00a\x00:\x00 \x00b": "a: b",
		"name: \"a\ufeffb\"":           "name: \"a\ufeffb\"", // inside a line it is a character
		"":                             "",
	} {
		if got := string(Text([]byte(text))); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestValuesThatFollowEachOther(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		lines      []int // of "name" in each document
	}{
		{"one object a line", "{\"name\": \"a\"}\n{\"name\": \"b\"}\n", []int{1, 2}},
		{"objects without a break, braces in texts", `{"name": "}{"}{"name": "b\\"}`, []int{1, 1}},
		{"pretty-printed", "{\n  \"name\": \"a\"\n}\n\n{\n  \"name\": \"b\"\n}", []int{2, 6}},
		{"YAML flow documents with their marks", "{name: a}\n---\n{name: b}\n", []int{1, 3}},
	} {
		docs, ps := Parse("f.json", []byte(tt.text))
		var lines []int
		for _, d := range docs {
			lines = append(lines, d.Line("name"))
		}
		if len(ps) > 0 || fmt.Sprint(lines) != fmt.Sprint(tt.lines) {
			t.Errorf("%s: Parse = lines %v, %v, want %v", tt.name, lines, ps, tt.lines)
		}
	}
	if _, ps := Parse("f.json", []byte("{\"a\": 1}\n{\"a\": }}\n")); len(ps) == 0 {
		t.Error("a broken second value is no problem")
	}
}

func TestAValueThatCannotBeReadIsAbsent(t *testing.T) {
	docs, _ := Parse("f.yaml", []byte("on: \"true\"\ntokens: {mean: 3, cv: x}\n"))
	var s sample
	if ps := docs[0].Decode(&s); len(ps) != 2 || s.On != nil || s.Tokens == nil {
		t.Errorf("Decode = %+v, %v, want no truth value, and the rest of the struct", s, ps)
	}
}
