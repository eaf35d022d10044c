package loadgen

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"

	"github.com/hpatune/hpatune/profiles"
)

// words are frequent English words, each one token with a leading space in the
// byte-pair vocabularies of GPT, Llama and Qwen: so a prompt of n words is a
// prompt of about n tokens for all of them. usage says what it was for one.
var words = [64]string{
	"the",
	"of",
	"and",
	"to",
	"in",
	"that",
	"is",
	"was",
	"for",
	"on",
	"are",
	"with",
	"they",
	"be",
	"at",
	"one",
	"have",
	"this",
	"from",
	"by",
	"not",
	"but",
	"what",
	"all",
	"were",
	"when",
	"we",
	"there",
	"can",
	"an",
	"your",
	"which",
	"their",
	"said",
	"if",
	"do",
	"will",
	"each",
	"about",
	"how",
	"up",
	"out",
	"them",
	"then",
	"she",
	"many",
	"some",
	"so",
	"these",
	"would",
	"other",
	"into",
	"has",
	"more",
	"her",
	"two",
	"like",
	"him",
	"see",
	"time",
	"could",
	"no",
	"make",
	"than",
}

const (
	// defaultPrompt is a prompt's length in tokens if neither class nor trace has one.
	defaultPrompt = 128
	// defaultReply is the length of the earlier replies in a conversation where
	// no class says how many tokens are asked for.
	defaultReply = 64
)

// An item is an arrival with the conversation before it.
type item struct {
	profiles.Arrival
	past []turn // earlier turns, oldest first; nil = none
}

// A turn is the lengths of an earlier turn of a conversation, in tokens.
type turn struct{ prompt, reply int }

// sessions remembers the turns of ongoing conversations as the schedule passes. It sees
// every arrival in order, including those of other shards, so a conversation is the same
// whoever sends its turns.
type sessions struct {
	prompts profiles.Prompts
	past    map[int][]turn
}

func (s *sessions) item(a profiles.Arrival) item {
	if s.prompts.Turns <= 1 {
		return item{Arrival: a}
	}
	session, k := s.prompts.Session(a.Index)
	past := s.past[session]
	if k == s.prompts.Turns-1 {
		delete(s.past, session)
	} else {
		if s.past == nil {
			s.past = map[int][]turn{}
		}
		t := turn{tokens(a.Prompt, defaultPrompt), tokens(a.Max, defaultReply)}
		s.past[session] = append(past[:len(past):len(past)], t) // a copy: items share what was before
	}
	return item{a, past}
}

func tokens(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

// A writer writes the prompts of a profile: the same bytes for the same seed
// and arrival, and different first words for different conversations, so that
// no server's prefix cache answers for its engine (unless shared prefixes are
// asked for).
type writer struct {
	profiles.Prompts
	seed  uint64
	lines []string // of Prompts.File; nil = text is made
}

// What a text is: two texts of one kind and number are the same.
const (
	userText  = 0 << 60
	replyText = 1 << 60
	prefix    = 2 << 60
)

func newWriter(p profiles.Prompts, files fs.FS, seed uint64) (*writer, error) {
	w := &writer{Prompts: p, seed: seed}
	if p.File == "" {
		return w, nil
	}
	if files == nil {
		return nil, fmt.Errorf("prompts file %s: the profile has no folder to read it from", p.File)
	}
	text, err := fs.ReadFile(files, p.File)
	if err != nil {
		return nil, fmt.Errorf("prompts file: %w", err)
	}
	for n, line := range linesOf(text) {
		if line[0] != '{' {
			w.lines = append(w.lines, string(line))
			continue
		}
		var o struct {
			Prompt *string `json:"prompt"`
		}
		if err := json.Unmarshal(line, &o); err != nil || o.Prompt == nil {
			return nil, fmt.Errorf(`prompts file %s:%d: no prompt in it; try {"prompt": "…"} or plain text`, p.File, n)
		}
		w.lines = append(w.lines, *o.Prompt)
	}
	if len(w.lines) == 0 {
		return nil, fmt.Errorf("prompts file %s: empty; want one prompt per line", p.File)
	}
	return w, nil
}

// length returns how many tokens of prompt the item asks for, the conversation
// before it included; 0 = unknown (a file's prompts are not counted).
func (w *writer) length(it item) int {
	if w.lines != nil {
		return 0
	}
	n := tokens(it.Prompt, defaultPrompt)
	for _, t := range it.past {
		n += t.prompt + t.reply
	}
	return n
}

// user writes the k-th user text of the item's conversation as the inside of
// a JSON string, n tokens long.
func (w *writer) user(dst []byte, it item, k, n int) []byte {
	session := it.Index
	if w.Turns > 1 {
		session, _ = w.Session(it.Index)
	}
	id := uint64(session)*uint64(max(1, w.Turns)) + uint64(k)
	if w.lines != nil {
		return appendEscaped(dst, w.lines[id%uint64(len(w.lines))])
	}
	if p := min(w.SharedPrefix, n); p > 0 && k == 0 {
		dst = appendText(dst, p, w.seed, prefix|uint64(session%max(1, w.Prefixes)))
		if n -= p; n == 0 {
			return dst
		}
		dst = append(dst, ' ')
	}
	return appendText(dst, n, w.seed, userText|id)
}

// chat writes the item's messages as a JSON array.
func (w *writer) chat(dst []byte, it item) []byte {
	dst = append(dst, `[{"role":"user","content":"`...)
	for k, t := range it.past {
		dst = w.user(dst, it, k, t.prompt)
		dst = append(dst, `"},{"role":"assistant","content":"`...)
		dst = w.reply(dst, it, k, t.reply)
		dst = append(dst, `"},{"role":"user","content":"`...)
	}
	dst = w.user(dst, it, len(it.past), tokens(it.Prompt, defaultPrompt))
	return append(dst, `"}]`...)
}

// text writes the item's conversation as one text, the inside of a JSON string.
func (w *writer) text(dst []byte, it item) []byte {
	for k, t := range it.past {
		dst = append(w.user(dst, it, k, t.prompt), `\n`...)
		dst = append(w.reply(dst, it, k, t.reply), `\n`...)
	}
	return w.user(dst, it, len(it.past), tokens(it.Prompt, defaultPrompt))
}

// reply writes the earlier replies of the model. In an open-loop conversation they are made
// up, since the real ones may not exist yet.
func (w *writer) reply(dst []byte, it item, k, n int) []byte {
	session, _ := w.Session(it.Index)
	return appendText(dst, n, w.seed, replyText|(uint64(session)*uint64(max(1, w.Turns))+uint64(k)))
}

// appendText writes n words, the same for the same seed and stream.
func appendText(dst []byte, n int, seed, stream uint64) []byte {
	r := rand.NewPCG(seed, stream)
	var bits uint64
	for i := range n {
		if i%10 == 0 {
			bits = r.Uint64()
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, words[bits%uint64(len(words))]...)
		bits >>= 6
	}
	return dst
}

// appendEscaped writes s as the inside of a JSON string.
func appendEscaped(dst []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		return dst
	}
	return append(dst, q[1:len(q)-1]...)
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }
