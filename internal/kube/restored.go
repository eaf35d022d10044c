package kube

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// WriteRestored writes what was done with each object to w, keeps the originals of
// those that are not back as files in dir, and counts them. An original for which no
// file can be written goes to w.
func WriteRestored(w io.Writer, done []Restored, dir string) (left int, err error) {
	for _, d := range done {
		fmt.Fprintf(w, "%s: %s (run %s)\n", d.Object, d.Text, d.Run)
		if !d.Left() {
			continue
		}
		left++
		if d.Original == nil {
			continue
		}
		file := filepath.Join(dir, "original-"+strings.ToLower(strings.ReplaceAll(d.Object, "/", "-"))+".yaml")
		if werr := os.WriteFile(file, d.Original, 0o644); werr != nil {
			fmt.Fprintf(w, "---\n%s", d.Original) // better here than nowhere
			err = fmt.Errorf("restore: could not write the original: %w", werr)
			continue
		}
		verb := "replace"
		if d.Gone {
			verb = "create"
		}
		fmt.Fprintf(w, "  to restore the original: kubectl %s -f %s\n", verb, file)
	}
	return left, err
}
