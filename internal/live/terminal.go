package live

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/hpatune/hpatune/internal/layout"
)

// terminal is an output that is a terminal, and so has a width.
type terminal struct{ *os.File }

// Width returns its columns, or layout.Columns if they are not known.
func (t terminal) Width() int {
	if w, _, err := term.GetSize(int(t.Fd())); err == nil && w > 0 {
		return w
	}
	return layout.Columns
}

// Terminal returns w as a terminal, which has a Width, if it is one, or else w.
func Terminal(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return terminal{f}
	}
	return w
}

// On reports whether w, which came from Terminal, is one, and may be drawn upon.
func On(w io.Writer) bool {
	_, ok := w.(terminal)
	return ok
}

// Typed reports whether a person types what r reads.
func Typed(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
