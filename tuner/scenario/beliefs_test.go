package scenario

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Every script in the core's testdata passes: the beliefs, and upstream's own tables.
func TestScripts(t *testing.T) {
	for _, folder := range []string{"beliefs", "upstream"} {
		root := os.DirFS(filepath.Join("..", "hpa", "testdata", folder))
		names, err := fs.Glob(root, "*.hpa")
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d scripts, %v", folder, len(names), err)
		}
		for _, name := range names {
			t.Run(folder+"/"+name, func(t *testing.T) {
				data, err := fs.ReadFile(root, name)
				if err != nil {
					t.Fatal(err)
				}
				s, err := ParseScript(name, data, root)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range s.Run() {
					t.Error(m)
				}
			})
		}
	}
}

func TestBeliefsPageHasEveryBelief(t *testing.T) {
	beliefs, err := fs.Sub(hpa.Beliefs, "testdata/beliefs")
	if err != nil {
		t.Fatal(err)
	}
	page, err := BeliefsPage(beliefs)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(page, "\n## "); got != 33 {
		t.Errorf("page has %d beliefs, want 33", got)
	}
	if want := "## 20. \"With two HPAs on one Deployment the higher wins.\"\n\nBoth stop, since the selector is ambiguous.\n\n    hpa      max=10"; !strings.Contains(page, want) {
		t.Errorf("page lacks %q", want)
	}
}
