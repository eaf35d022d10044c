package loadgen

import (
	"regexp"
	"testing"
	"time"
)

// Several load generators may see different shares of answers in one piece. Their warnings
// differ in numbers only, so that a merged run reports them once.
func TestAnswersInOnePieceAreReportedInTheSameWords(t *testing.T) {
	words := map[string]bool{}
	for _, pieces := range []int{1, 85, 95, 100} {
		n := notes{streams: 100}
		n.count[noteOnePiece] = pieces
		list := n.warnings(time.Second)
		if len(list) != 1 {
			t.Fatalf("%d of 100 in one piece: %+v, want one warning", pieces, list)
		}
		words[regexp.MustCompile(`\d+`).ReplaceAllString(list[0].Text, "#")] = true
	}
	if len(words) != 1 {
		t.Errorf("in %d ways: %v", len(words), words)
	}
}
