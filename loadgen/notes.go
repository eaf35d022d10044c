package loadgen

import (
	"fmt"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
)

// A note is something unusual about good answers. It is not a failure, but affects how to
// read the figures. Each kind becomes one Warning at the end of the run.
type note int

const (
	noteContentType note = iota // an event stream under another content type
	noteOddFrames               // frames that are no part of an answer
	noteUsage                   // a usage figure that cannot be true
	noteNoEnd                   // no end mark, and stream_end: lenient
	noteNoText                  // no text, so no first token
	noteOnePiece                // a stream that came in one piece
	noteShort                   // fewer tokens than asked for
	notesEnd
)

// noteIDs are the ids of the warnings.
var noteIDs = [notesEnd]results.WarningID{
	results.WarnContentType, results.WarnOddFrames, results.WarnUsage, results.WarnNoEndMark, results.WarnNoFirstToken,
	results.WarnNotStreamed, results.WarnShortAnswers,
}

// notes counts them. One is shared by all steps of a capacity search.
type notes struct {
	mu       sync.Mutex
	streams  int // streamed answers that were good and had text
	sized    int // good answers that were asked for a number of tokens, and said how many came
	asked    int // tokens, in all of them
	came     int
	count    [notesEnd]int
	examples [notesEnd]string // of the first
}

func (n *notes) add(kind note, example string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.count[kind]++; n.examples[kind] == "" {
		n.examples[kind] = example
	}
}

// stream notes what is unusual about a streamed answer.
func (n *notes) stream(s *stream, v verdict) {
	if s.odd > 0 && s.said != "" {
		n.add(noteOddFrames, fmt.Sprintf("%q", s.said[:min(len(s.said), 40)]))
	}
	if v.outcome != results.OK {
		return
	}
	if !s.done || !s.finish {
		n.add(noteNoEnd, "")
	}
	if s.tokens == 0 {
		n.add(noteNoText, fmt.Sprintf("usage reports %d tokens", s.usage.completion))
		return
	}
	if s.usage.seen && v.from != results.TokensUsage {
		n.add(noteUsage, fmt.Sprintf("%d beside %d chunks with text", s.usage.completion, s.tokens))
	}
	n.mu.Lock()
	n.streams++
	n.mu.Unlock()
	// A single chunk of two tokens is what a token with half a letter gives.
	if s.count == 1 && (s.tokens > 1 || v.tokens > 4) {
		n.add(noteOnePiece, "")
	}
}

// tokens records how many of the requested tokens a good answer has.
func (n *notes) tokens(asked int, v verdict) {
	if asked <= 0 || v.outcome != results.OK || v.from != results.TokensUsage {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sized++
	n.asked += asked
	n.came += v.tokens
	if v.tokens < asked {
		n.count[noteShort]++
	}
}

// shortOf is the share of the requested tokens below which the load is not the one that the
// profile describes.
const shortOf = 0.9

// warnings are what there is to say at the end, at the instant at.
func (n *notes) warnings(at time.Duration) (list []results.Warning) {
	n.mu.Lock()
	defer n.mu.Unlock()
	say := func(kind note, format string, args ...any) {
		list = append(list, results.Warning{At: at, ID: noteIDs[kind], Text: fmt.Sprintf(format, args...)})
	}
	for kind := range noteShort {
		count, example := n.count[kind], n.examples[kind]
		if count == 0 {
			continue
		}
		switch kind {
		case noteContentType:
			say(kind, "%d answers were of type %s instead of text/event-stream; they were read as event streams", count, example)
		case noteOddFrames:
			say(
				kind,
				"%d answers contained frames that do not belong to an answer (the first: %s); they were skipped",
				count,
				example,
			)
		case noteUsage:
			say(kind, "%d answers had an impossible usage figure (completion_tokens %s); "+
				"chunks with text were counted instead of tokens", count, example)
		case noteNoEnd:
			say(kind, "%d answers ended without a finish_reason or without [DONE]; "+
				"they count as good, because the profile has target.stream_end: lenient", count)
		case noteNoText:
			say(kind, "%d answers had no text, so they have no time to first token (the first: %s)", count, example)
		case noteOnePiece:
			// The same words for few and for nearly all: results.Merge unites what several load
			// generators report by its words.
			say(kind, "%d of %d streamed answers came in one piece, the first token together with the last, and have no ITL "+
				"and no TPOT; if that is nearly all, the server, or a proxy before it, does not stream", count, n.streams)
		}
	}
	if n.sized > 0 && float64(n.came) < shortOf*float64(n.asked) {
		mean := func(tokens int) float64 { return float64(tokens) / float64(n.sized) }
		say(
			noteShort,
			"answers had %.3g tokens on average instead of the %.3g requested: output_tokens is a limit, and %d of %d "+
				"answers ended earlier. Servers that support it reach the limit with request: {ignore_eos: true} in the profile",
			mean(n.came),
			mean(n.asked),
			n.count[noteShort],
			n.sized,
		)
	}
	return list
}
