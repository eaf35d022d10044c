package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The command runs inside the test binary, so that scripts see the program of
// this very tree.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hpatune": main})
}

// TestScripts runs testdata/script/*.txtar: what users type, and what they see.
// $RUNS is results/testdata, where two tiny real runs are.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("RUNS", filepath.Join(root, "results", "testdata"))
			env.Setenv("ROOT", root)
			server := httptest.NewServer(http.HandlerFunc(answer))
			env.Defer(server.Close)
			env.Setenv("URL", server.URL)
			env.Setenv("HOST", strings.TrimPrefix(server.URL, "http://"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exitcode": exitCode,
			"nowhere":  nowhere,
			"says":     says,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// exitCode runs a command and compares its exit code: `exitcode 3 hpatune gate …`;
// `0,4` is either: a run is not valid where the machine was too busy to send it.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE COMMAND…")
	}
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = ""
		if text := err.Error(); len(text) > len("exit status ") {
			got = text[len("exit status "):]
		}
	}
	if !slices.Contains(strings.Split(want, ","), got) {
		ts.Fatalf("%v: exit code %s, want %s", args[1:], got, want)
	}
}

// answer is an endpoint that is up: /fail answers 500, /echo what it was told
// about itself, everything else ok.
func answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/fail"):
		http.Error(w, "broken", http.StatusInternalServerError)
	case r.Header.Get("Authorization") == "" && strings.HasPrefix(r.URL.Path, "/private"):
		http.Error(w, "who are you?", http.StatusUnauthorized)
	default:
		fmt.Fprintln(w, "ok")
	}
}

// says fails if no match of a regular expression is in what the last command printed,
// wherever its lines are broken: `says REGEXP`.
func says(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: says REGEXP")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	text := strings.Join(strings.Fields(ts.ReadFile("stdout")), " ")
	if want.MatchString(text) == neg {
		ts.Fatalf("matches %q: %v, want %v:\n%s", args[0], neg, !neg, text)
	}
}

// nowhere fails if a word stands in any file of a folder: `nowhere WORD DIR`.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nowhere WORD DIR")
	}
	files := 0
	err := filepath.WalkDir(ts.MkAbs(args[1]), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(p)
		if bytes.Contains(data, []byte(args[0])) {
			ts.Fatalf("%s holds %q", p, args[0])
		}
		return err
	})
	ts.Check(err)
	if files == 0 {
		ts.Fatalf("%s: no files to look into", args[1])
	}
}
