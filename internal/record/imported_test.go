package record

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/logs"
	"github.com/hpatune/hpatune/internal/store"
)

func TestImport(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "night.csv")
	text := "t,input,output,done\n0.0,8,16,0.5\n1.0,8,16,1.4\nnever,8,16,2\n2.0,8,16,2.6\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said []string
	got, err := Import([]string{log}, logs.Options{}, filepath.Join(dir, "run"), []string{"e2e.p95 < 2s"}, "v0", func(text string) { said = append(said, text) })
	if err != nil {
		t.Fatal(err)
	}
	run, err := store.Open(os.DirFS(got))
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Requests) != 3 || run.Meta.Version != "v0" || !slices.Equal(run.Meta.Objectives, []string{"e2e.p95 < 2s"}) {
		t.Errorf("%d requests, meta %+v; want the three lines that are requests", len(run.Requests), run.Meta)
	}
	if len(run.Warnings) == 0 || run.Warnings[0].ID != "log-lines" || !strings.Contains(strings.Join(said, "\n"), "skipped: ") {
		t.Errorf("warnings %+v, said %q; want the skipped line in both", run.Warnings, said)
	}
	if _, err := Import([]string{filepath.Join(dir, "none.csv")}, logs.Options{}, "", nil, "v0", func(string) {}); failure.Of(err) != failure.Input {
		t.Errorf("a file that is not there: %v, want an error of the input", err)
	}
}

func TestDirIsOneThatIsNotThereYet(t *testing.T) {
	t.Chdir(t.TempDir())
	first, err := Dir("", "spike")
	if err != nil || !strings.HasPrefix(first, filepath.Join("results", "spike-")) {
		t.Fatalf("Dir = %q, %v", first, err)
	}
	if err := os.MkdirAll(first, 0o755); err != nil {
		t.Fatal(err)
	}
	if second, err := Dir("", "spike"); err != nil || second == first {
		t.Errorf("Dir = %q, %v; want another than %q", second, err, first)
	}
	if given, err := Dir("mine", "spike"); err != nil || given != "mine" {
		t.Errorf("Dir = %q, %v; want the one that was given", given, err)
	}
}
