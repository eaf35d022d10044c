package profiles

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
)

//go:embed *.yaml trace.csv
var shipped embed.FS

//go:embed README.md
var manual string

// Manual is the page that describes a profile's fields, in Markdown.
func Manual() string { return manual }

// Shipped returns the built-in profiles and the files that they need; they are also
// examples to copy.
func Shipped() fs.FS { return shipped }

// Names returns the shipped profiles in the order to try them.
func Names() []string {
	return []string{"steady", "ramp", "step", "spike", "soak", "diurnal", "burst", "trace"}
}

// Load returns a shipped profile by its name.
func Load(name string) (*Profile, error) {
	data, err := fs.ReadFile(shipped, name+".yaml")
	if err != nil {
		try := source.Nearest(name, Names())
		if try == "" {
			try = "a file, or one of " + strings.Join(Names(), ", ")
		}
		return nil, fmt.Errorf(
			"profile %q: %w",
			name,
			&source.Hint{Text: "there is no built-in profile of this name", Try: try},
		)
	}
	return Parse(name+".yaml", data, shipped)
}

// About returns the first sentence of a YAML file's head comment.
func About(data []byte) string {
	text := ""
	for line := range strings.Lines(string(data)) {
		more, ok := strings.CutPrefix(strings.TrimSpace(line), "#")
		if !ok || text != "" && strings.TrimSpace(more) == "" {
			break
		}
		text = strings.TrimSpace(text + " " + strings.TrimSpace(more))
		if first, _, ok := strings.Cut(text, ". "); ok {
			return first + "."
		}
	}
	return text
}
