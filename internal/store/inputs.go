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

// InputsDir is where a run stores the files that its profile names, under the same names,
// so that the run can be repeated from its folder.
const InputsDir = "inputs"

// maxInput limits the size of one stored file.
const maxInput = 64 << 20

// ErrNotKept means that an input is not stored, with the reason.
var ErrNotKept = errors.New("is not kept with the run")

// Input stores a file of files as inputs/name. A file that is too large, or that contains
// what looks like a token, is not stored: the error is then ErrNotKept.
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
