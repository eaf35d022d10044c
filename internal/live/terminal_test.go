package live

import (
	"bytes"
	"os"
	"testing"

	"github.com/hpatune/hpatune/internal/layout"
)

// TestTerminal: what is piped is not drawn upon, and nobody types what a file has.
func TestTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if On(Terminal(&b)) || On(Terminal(f)) || Typed(f) || Typed(&b) {
		t.Errorf("a buffer or %s counts as a terminal", f.Name())
	}
	if got := Terminal(&b); got != &b {
		t.Errorf("Terminal(%T) = %T, want it as it is", &b, got)
	}
	if got := (terminal{f}).Width(); got != layout.Columns {
		t.Errorf("the width of an unknown terminal is %d, want %d", got, layout.Columns)
	}
}
