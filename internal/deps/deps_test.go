package deps

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hpatune/hpatune"

// rooms is the import rule: who may import whom. It is a statement of policy;
// do not change it to fix a build.
//
// A line is "[pure] ROOM: the rooms it may import". Pure rooms have no
// network, no processes, no log and no cluster: numbers in, numbers out.
const rooms = `
pure internal/failure:
     internal/plain:
     internal/help:      internal/failure internal/figure internal/layout internal/source
pure internal/figure:
pure internal/layout:
pure results:            internal/figure
pure profiles:           results internal/figure internal/source
pure tuner/hpa:
pure tuner/keda:
pure tuner/manifest:     tuner/hpa tuner/keda internal/promql internal/source
pure tuner/scenario:     tuner/hpa tuner/manifest internal/source
pure tuner/plant:        results
pure tuner/replay:       results profiles tuner/hpa tuner/keda tuner/plant
pure tuner/cost:
pure tuner/fit:          results profiles internal/figure tuner/cost tuner/hpa tuner/keda tuner/plant tuner/replay
pure tuner/fit/fittest:  results tuner/hpa tuner/plant tuner/replay
pure tuner:              results profiles internal/figure tuner/cost tuner/fit tuner/hpa tuner/keda tuner/plant tuner/replay
pure tuner/advice:       results internal/figure internal/promql internal/secrets tuner tuner/hpa tuner/manifest tuner/replay tuner/scenario
pure tuner/recorded:     results internal/failure internal/promql tuner/hpa tuner/keda tuner/manifest tuner/replay tuner/scenario
pure internal/source:
pure internal/report:    results profiles internal/figure internal/layout tuner tuner/hpa tuner/manifest tuner/scenario internal/doctor tuner/fit internal/source
pure internal/logs:      results internal/figure
pure internal/doctor:    results internal/figure tuner/hpa tuner/manifest internal/promql internal/source
pure internal/secrets:
pure internal/exposition:
pure internal/promql:
pure internal/schema:    results profiles tuner
     internal/store:     results internal/secrets
     internal/kube:      results internal/doctor internal/figure internal/layout tuner/manifest internal/secrets
     internal/live:      results internal/layout
     internal/manifests: internal/failure internal/source tuner/manifest
     loadgen:            results profiles internal/figure internal/plain internal/exposition internal/secrets
     observer:           results internal/exposition internal/kube internal/plain
     internal/sandbox:   results internal/figure tuner/hpa
     internal/fleet:     results profiles internal/kube internal/store internal/plain
     internal/fleet/mkimage:
     internal/record:    results profiles loadgen observer internal/failure internal/figure internal/fleet internal/kube internal/live internal/logs internal/manifests internal/promql internal/sandbox internal/secrets internal/source internal/store tuner/cost tuner/hpa tuner/manifest tuner/recorded tuner/replay
     internal/predict:   results internal/doctor internal/failure internal/figure internal/kube internal/manifests internal/report internal/source internal/store tuner tuner/advice tuner/fit tuner/keda tuner/manifest tuner/recorded
     internal/deps:
     cmd/hpatune:        *
`

// outside lists what a pure room may import beyond the standard library.
var outside = map[string][]string{
	"results":          {"github.com/montanaflynn/stats", "github.com/HdrHistogram/hdrhistogram-go"},
	"profiles":         {"github.com/klauspost/compress", "github.com/parquet-go/parquet-go"},
	"tuner/hpa":        {},
	"tuner/keda":       {"github.com/expr-lang/expr", "github.com/robfig/cron/v3"},
	"tuner/manifest":   {"k8s.io/api", "k8s.io/apimachinery", "sigs.k8s.io/yaml", "go.yaml.in/yaml/v3"},
	"internal/promql":  {"github.com/prometheus/prometheus/promql/parser"},
	"tuner/advice":     {"k8s.io/api", "sigs.k8s.io/yaml"},
	"tuner/cost":       {"sigs.k8s.io/yaml"},
	"tuner/recorded":   {"k8s.io/api", "sigs.k8s.io/yaml"},
	"internal/source":  {"go.yaml.in/yaml/v3"},
	"internal/secrets": {"go.yaml.in/yaml/v3"},
	"internal/exposition": {
		"github.com/prometheus/client_model", "github.com/prometheus/common",
	},
	"internal/doctor": {"k8s.io/api", "k8s.io/apimachinery"},
}

// banned is what no pure room may import directly: the world outside.
var banned = []string{"net", "net/http", "net/url", "os", "os/exec", "log", "log/slog", "k8s.io/client-go", "math/rand"}

// allowed excuses a ban, with its reason.
var allowed = map[string]string{
	"profiles net/url":       "checks that target.url is a URL; opens nothing",
	"tuner/manifest net/url": "escapes a queue's name as KEDA does; opens nothing",
}

type rule struct {
	pure bool
	may  []string
}

func policy(t *testing.T) map[string]rule {
	rules := map[string]rule{}
	for line := range strings.Lines(rooms) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, may, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("rule %q has no colon", line)
		}
		name, pure := strings.CutPrefix(name, "pure ")
		rules[strings.TrimSpace(name)] = rule{pure, strings.Fields(may)}
	}
	return rules
}

// TestImportRule parses the sources itself, since a test that shells out to the
// go command is served stale from the test cache.
func TestImportRule(t *testing.T) {
	rules := policy(t)
	root := filepath.Join("..", "..")
	documented := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if name == "testdata" || name == "node_modules" || (strings.HasPrefix(name, ".") && p != root) || p == filepath.Join(root, "test") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		room := path.Dir(filepath.ToSlash(rel))
		r, ok := rules[room]
		if !ok {
			t.Errorf("%s: room %s is not in the import rule; add a line that says what it may know", rel, room)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		isTest := strings.HasSuffix(p, "_test.go")
		if !isTest {
			documented[room] = documented[room] || f.Doc != nil
		}
		for _, spec := range f.Imports {
			check(t, rel, room, r, strings.Trim(spec.Path.Value, `"`), isTest)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room, ok := range documented {
		if !ok {
			t.Errorf("package %s has no sentence: give one of its files a package comment", room)
		}
	}
}

func check(t *testing.T, file, room string, r rule, imp string, isTest bool) {
	if inside, ok := strings.CutPrefix(imp, module+"/"); ok {
		if isTest || inside == room || slices.Contains(r.may, inside) || slices.Contains(r.may, "*") {
			return
		}
		t.Errorf("%s: %s may not import %s (DESIGN.md 3)", file, room, inside)
		return
	}
	if isTest || !r.pure {
		return
	}
	if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
		for _, p := range outside[room] {
			if imp == p || strings.HasPrefix(imp, p+"/") {
				return
			}
		}
		t.Errorf("%s: pure room %s may not import %s", file, room, imp)
		return
	}
	if slices.Contains(banned, imp) && allowed[room+" "+imp] == "" {
		t.Errorf("%s: pure room %s may not import %s: files come as fs.FS or io.Reader, time and seed as arguments", file, room, imp)
	}
}

// TestClockAndFiles refuses time.Now and friends in pure rooms, where golangci's
// forbidigo may not be installed.
func TestClockAndFiles(t *testing.T) {
	root := filepath.Join("..", "..")
	for room, r := range policy(t) {
		if !r.pure {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(room), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range files {
			if strings.HasSuffix(p, "_test.go") {
				continue
			}
			src, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(token.NewFileSet(), p, src, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && pkg.Obj == nil && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker"}, sel.Sel.Name) {
					t.Errorf("%s: pure room %s uses time.%s; take the time as an argument", p, room, sel.Sel.Name)
				}
				return true
			})
		}
	}
}
