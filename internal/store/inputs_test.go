package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/hpatune/hpatune/results"
)

func TestInputsAreKeptUnlessTheyHoldATokenOrAreNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir, results.Meta{}, []byte("name: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(results.Meta{})
	files := fstest.MapFS{
		"bodies/a.json": {Data: []byte(`{"task-sketch": "sk-8 is no key", "token": 7}`)},
		"key.json":      {Data: []byte(`{"key":"sk-proj-0123456789abcdef0123"}`)},
		"jwt.txt":       {Data: []byte(`eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x`)},
		"pem.txt":       {Data: []byte("-----BEGIN RSA PRIVATE KEY-----\n")},
		"auth.json":     {Data: []byte(`{"Authorization": "Bearer 0123456789abcdef"}`)},
	}
	if err := w.Input(files, "bodies/a.json"); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "inputs/bodies/a.json")); err != nil || string(got) != string(files["bodies/a.json"].Data) {
		t.Errorf("kept as %q, %v", got, err)
	}
	for _, name := range []string{"key.json", "jwt.txt", "pem.txt", "auth.json"} {
		if err := w.Input(files, name); !errors.Is(err, ErrNotKept) {
			t.Errorf("%s: %v, want %v", name, err, ErrNotKept)
		}
		if _, err := os.Stat(filepath.Join(dir, "inputs", name)); err == nil {
			t.Errorf("%s is kept", name)
		}
	}
	for _, name := range []string{"../x", "/x", "none"} {
		if err := w.Input(files, name); err == nil || errors.Is(err, ErrNotKept) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
