package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/hpatune/hpatune/internal/secrets"
)

// InputsDir is where a run keeps the files that its profile names, under the
// names that it gives them, so that the run can be sent again from itself.
const InputsDir = "inputs"

// maxInput bounds what one file may add to a run.
const maxInput = 64 << 20

// ErrNotKept says that an input is not kept, and why.
var ErrNotKept = errors.New("is not kept with the run")

// Input keeps a file of files as inputs/name. A file that is too large, or that
// holds what looks like a token, is not kept: the error is ErrNotKept then.
func (w *Writer) Input(files fs.FS, name string) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("run folder: %q is not the name of a file in it", name)
	}
	info, err := fs.Stat(files, name)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if info.Size() > maxInput {
		return fmt.Errorf("%s %w: it is larger than %d MB", name, ErrNotKept, maxInput>>20)
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if text := string(data); secrets.Text(text) != text {
		return fmt.Errorf("%s %w: it contains what looks like a token", name, ErrNotKept)
	}
	to := filepath.Join(w.dir, InputsDir, filepath.FromSlash(path.Dir(name)))
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return w.writeFile(path.Join(InputsDir, name), data)
}
