package main

import (
	"io"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/internal/help"
)

// Every command and flag has its words in help/*.md, and there are none of a command
// or flag that is gone.
func TestPagesAreOfWhatThereIs(t *testing.T) {
	for _, p := range help.Problems(newRoot(streams{strings.NewReader(""), io.Discard, io.Discard}), pages) {
		t.Error(p)
	}
}
