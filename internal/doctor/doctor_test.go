package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/manifest"
)

// load reads a fixture and the facts of its first line: "# facts: startup=90s".
// also are other ids that it raises beside its own.
func load(t *testing.T, file string) (f Facts, also []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, problems := manifest.Parse(file, data)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	f.Docs = docs
	head, _, _ := strings.Cut(string(data), "\n")
	words, _ := strings.CutPrefix(head, "# facts: ")
	if words == head {
		return f, nil
	}
	for _, w := range strings.Fields(words) {
		key, value, _ := strings.Cut(w, "=")
		name, text, _ := strings.Cut(value, ":")
		number, _ := strconv.ParseFloat(text, 64)
		length, _ := time.ParseDuration(value)
		switch key {
		case "live":
			f.Live = true
		case "memoryfalls":
			f.Measured.MemoryFalls = true
		case "startup":
			f.Measured.Startup = length
		case "longest":
			f.Measured.LongestAnswer = length
		case "series":
			f.Measured.Series = map[string]int{name: int(number)}
		case "usage":
			f.Measured.Usage = map[string]float64{name: number}
		case "also":
			also = append(also, value)
		default:
			t.Fatalf("%s: fact %q is not known", file, key)
		}
	}
	return f, also
}

func ids(findings []Finding) (out []string) {
	for _, x := range findings {
		out = append(out, x.ID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestChecks(t *testing.T) {
	for _, c := range Checks {
		for _, verdict := range []string{"raises", "healthy"} {
			t.Run(c.ID+"--"+verdict, func(t *testing.T) {
				file := filepath.Join("testdata", c.ID+"--"+verdict+".yaml")
				f, also := load(t, file)
				findings, ran, err := judge(f, "")
				if err != nil {
					t.Fatal(err)
				}
				if ran[c.ID] == 0 {
					t.Fatalf("check %s never ran on %s", c.ID, file)
				}
				var want []string
				if verdict == "raises" {
					want = append(also, c.ID)
					slices.Sort(want)
				}
				if got := ids(findings); !slices.Equal(got, want) {
					t.Errorf("judge(%s) = %v, want %v\n%+v", file, got, want, findings)
				}
				for _, x := range findings {
					if x.Object == "" || x.Why == "" || x.Fix == "" || x.Link == "" || !f.Live && (x.File == "" || x.Line == 0) {
						t.Errorf("finding lacks a part: %+v", x)
					}
				}
			})
		}
	}
}

func TestEverybodysConfiguration(t *testing.T) {
	docs, problems := manifest.Parse("handwritten.yaml", []byte(manifest.Handwritten))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	got, err := Judge(Facts{Docs: docs}, "")
	if want := []string{"dead-policy", "memory-target"}; err != nil || !slices.Equal(ids(got), want) || len(got) != 2 {
		t.Errorf("Judge(handwritten) = %v, %v, want %v", got, err, want)
	}
}

func TestIgnore(t *testing.T) {
	for text, want := range map[string]int{
		"min-one we accept it": 0,
		"min-one":              1, // a silence needs a reason
		"no-behavior why not":  1,
	} {
		f, _ := load(t, filepath.Join("testdata", "min-one--raises.yaml"))
		f.Docs[0].HPA.Annotations = map[string]string{Ignore: text}
		if got, err := Judge(f, ""); err != nil || len(got) != want {
			t.Errorf("Judge with %s: %q = %v, %v, want %d findings", Ignore, text, got, err, want)
		}
	}
}

func TestPageListsEveryCheck(t *testing.T) {
	page, seen := Page(), map[string]bool{}
	for _, c := range Checks {
		if !strings.Contains(page, "\n"+c.ID+" ("+string(c.Severity)+")\n  "+c.Title+"\n  Fix: "+c.Fix+"\n") || c.Link == "" || seen[c.ID] || c.Severity.rank() < 0 {
			t.Errorf("check %q is missing from the page, incomplete or twice there", c.ID)
		}
		seen[c.ID] = true
	}
}
