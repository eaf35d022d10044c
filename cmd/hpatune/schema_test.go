package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/profiles"
)

// compiled is what `hpatune schema NAME` prints, compiled.
func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	var out, stderr bytes.Buffer
	if code := run(t.Context(), []string{"schema", name}, strings.NewReader(""), &out, &stderr); code != 0 {
		t.Fatalf("schema %s: exit code %d: %s", name, code, stderr.String())
	}
	doc, err := jsonschema.UnmarshalJSON(&out)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name+".json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check holds a document against a schema.
func check(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// The schema of a profile takes the shipped ones, and refuses what hpatune does.
func TestSchemaOfProfiles(t *testing.T) {
	s := compiled(t, "profile")
	texts := map[string]string{"demo": string(sandbox.DemoProfile), "every kind of field": `
target: {protocol: openai-chat, stream: false, stream_end: lenient, headers: {X-Team: a}, request: {stop: [a], n: null}}
classes: [{name: a, weight: 2, prompt_tokens: 5, output_tokens: {mean: 7, cv: 1}, request: {seed: 1}}]
stages:
  - {rate: 0, duration: 1m30s, arrivals: constant, warmup: true}
  - {ramp: {from: 1/s, to: 300/m}, duration: 1.5h, arrivals: {gamma: {cv: 2}}}
  - {trace: {file: a.csv, columns: {t: x}, time: ms, from: 1s}}
abort: {error_rate: 50%, for: 10s}
`}
	for _, name := range profiles.Names() {
		data, err := fs.ReadFile(profiles.Shipped(), name+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(data)
	}
	for name, text := range texts {
		data, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t, s, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{
		`{"stages":[{"rate":"5/d","duration":"1m"}]}`, `{"stages":[{"rate":"5/s","duration":60}]}`, `{"stages":[{"rate":"5/s","durration":"1m"}]}`,
		`{"target":{"protocol":"smtp"}}`, `{"target":{"stream_end":"loose"}}`, `{"classes":[{"prompt_tokens":"many"}]}`, `{"vus":3}`,
	} {
		if check(t, s, []byte(text)) == nil {
			t.Errorf("%s is taken for a profile", text)
		}
	}
}

// What hpatune writes is what its schema says.
func TestSchemaOfReports(t *testing.T) {
	dir, err := filepath.Abs("../../results/testdata/before")
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	if code := run(t.Context(), []string{"report", dir, "-o", "json"}, strings.NewReader(""), &out, &stderr); code != 0 {
		t.Fatalf("report: exit code %d: %s", code, stderr.String())
	}
	if err := check(t, compiled(t, "run"), out.Bytes()); err != nil {
		t.Error(err)
	}
	s := compiled(t, "recommendation")
	files, err := filepath.Glob("../../results/testdata/*/advice/recommendation.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t, s, data); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	if check(t, s, []byte(`{"verdict": 3}`)) == nil || !json.Valid(out.Bytes()) {
		t.Error("anything is taken for a recommendation")
	}
}
