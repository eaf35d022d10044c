package loadgen

import (
	"bytes"
	"time"

	"github.com/hpatune/hpatune/results"
)

// chunk is what one data chunk of an OpenAI-style stream says.
type chunk struct {
	token      bool // content, text, reasoning or tool-call content that is not empty
	finish     bool // a finish_reason that is not null
	usage      bool // a usage object with figures
	prompt     int  // usage.prompt_tokens
	completion int  // usage.completion_tokens
	choices    bool // a list of choices, if empty: Azure begins with such a chunk
	suspect    bool // a member that may tell of a failure: failureIn judges it
	bad        bool // not a JSON object

	// Where the string stands that made it a token; to 0 = not in one string.
	from, to int
}

// readChunk reads a chunk of chat or text completions.
//
// A token is a choice with non-empty delta.content, delta.reasoning,
// delta.reasoning_content, delta.refusal, delta.tool_calls or text. A chunk
// with the role alone, or with an empty delta, is none: servers begin and end
// with such chunks (34 data chunks for 32 tokens were seen).
func readChunk(b []byte) chunk {
	var c chunk
	s := scanner{b: b}
	if !s.eat('{') {
		c.bad = true
		return c
	}
	for first := true; s.more('}', &first); {
		switch string(s.key()) {
		case "choices":
			if s.peek() != '[' {
				s.skip()
				break
			}
			s.i++
			c.choices = true
			for first := true; s.more(']', &first); {
				s.choice(&c)
			}
		case "usage":
			s.usage(&c)
		case "error", "errors", "detail":
			if s.full() {
				c.suspect = true
			}
		case "object":
			if s.peek() != '"' {
				s.skip()
			} else if string(s.str()) == "error" {
				c.suspect = true
			}
		default:
			s.skip()
		}
	}
	if s.peek() != 0 {
		s.bad = true
	}
	c.bad = s.bad
	return c
}

func (s *scanner) choice(c *chunk) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.i++
	for first := true; s.more('}', &first); {
		switch string(s.key()) {
		case "delta", "message":
			if s.peek() != '{' {
				s.skip()
				break
			}
			s.i++
			for first := true; s.more('}', &first); {
				switch string(s.key()) {
				case "content", "reasoning", "reasoning_content", "refusal", "tool_calls":
					s.token(c)
				default:
					s.skip()
				}
			}
		case "text":
			s.token(c)
		case "finish_reason":
			s.reason(c)
		case "error":
			if s.full() {
				c.suspect = true
			}
		default:
			s.skip()
		}
	}
}

// token reads a member that is a token where it says something, and notes
// where a string stands, if it is the only one.
func (s *scanner) token(c *chunk) {
	isString := s.peek() == '"'
	from := s.i + 1
	if !s.full() {
		return
	}
	if isString && !c.token {
		c.from, c.to = from, s.i-1
	} else {
		c.from, c.to = 0, 0
	}
	c.token = true
}

// reason reads a finish_reason. One that is not among the two that end nearly
// every answer is looked at closely.
func (s *scanner) reason(c *chunk) {
	if s.peek() != '"' {
		if s.full() {
			c.finish, c.suspect = true, true
		}
		return
	}
	switch r := s.str(); string(r) {
	case "":
	case "stop", "length":
		c.finish = true
	default:
		c.finish, c.suspect = true, true
	}
}

func (s *scanner) usage(c *chunk) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.i++
	for first := true; s.more('}', &first); {
		switch string(s.key()) {
		case "prompt_tokens", "input_tokens":
			c.prompt = max(c.prompt, s.number())
			c.usage = true
		case "completion_tokens", "output_tokens":
			c.completion = max(c.completion, s.number())
			c.usage = true
		default:
			s.skip()
		}
	}
}

// A stream meters one streamed answer: it gets bytes with the time at which they arrived,
// and records when the first and the last token arrived, the longest gap between tokens,
// and how the stream ended.
//
// The time is taken before the bytes are parsed, once for all tokens of one read: what
// arrived together has the same time.
type stream struct {
	split       splitter
	first, last time.Duration // of the first and the last piece; NotYet without a token
	gap         time.Duration // longest between two pieces
	count       int           // pieces
	tokens      int           // chunks with content
	usage       chunkUsage
	finish      bool   // some choice said why it finished
	done        bool   // [DONE] was seen
	failed      bool   // the server said that it failed
	bad         bool   // a chunk whose JSON is broken: tokens may be lost
	message     string // of failed or bad
	odd         int    // frames that are no part of an answer: skipped
	said        string // what the last of them said

	// The chunk before, without its text: most chunks differ from the one before
	// in their text alone, and comparing is ten times faster than scanning.
	head, tail []byte

	plain  bool // any stream: each event is progress, none is parsed
	pieces bool // not an event stream: each read is progress
}

// chunkUsage is what the usage objects of a stream contained: the last figures that are not
// 0. Gateways send 0 with each chunk, or last, if they know nothing.
type chunkUsage struct {
	seen               bool
	prompt, completion int
}

// reset makes the stream ready for another answer, keeping its buffers.
func (m *stream) reset() {
	split := m.split
	split.reset()
	*m = stream{split: split, head: m.head[:0], tail: m.tail[:0], first: results.NotYet, last: results.NotYet}
}

// read reads a chunk as readChunk does, faster where it is like the one
// before: the same bytes around a text that is not empty and has nothing to
// escape, so that it cannot end before its quote.
func (m *stream) read(b []byte) chunk {
	if n := len(m.head); n > 0 && len(b) > n+len(m.tail) &&
		string(b[:n]) == string(m.head) && string(b[len(b)-len(m.tail):]) == string(m.tail) {
		text := b[n : len(b)-len(m.tail)]
		if bytes.IndexByte(text, '"') < 0 && bytes.IndexByte(text, '\\') < 0 {
			return chunk{token: true, choices: true, from: n, to: n + len(text)}
		}
	}
	c := readChunk(b)
	if c.to > 0 && !c.finish && !c.usage && !c.suspect && !c.bad {
		m.head = append(m.head[:0], b[:c.from]...)
		m.tail = append(m.tail[:0], b[c.to:]...)
	}
	return c
}

// feed takes the bytes p that came at the instant at.
func (m *stream) feed(p []byte, at time.Duration) {
	if m.pieces {
		m.token(at)
		return
	}
	for {
		data, rest, ok := m.split.next(p)
		if m.split.tooLong && !m.failed {
			m.fail("event longer than 8 MB")
		}
		if !ok {
			return
		}
		m.event(data, at)
		p = rest
	}
}

// end takes the end of the stream: an event without its blank line counts.
func (m *stream) end(at time.Duration) {
	if data, ok := m.split.flush(); ok {
		m.event(data, at)
	}
}

func (m *stream) event(data []byte, at time.Duration) {
	if m.done {
		return // nothing counts after [DONE]
	}
	if isDone(data) {
		m.done = true
		return
	}
	if m.plain {
		if len(data) == 0 {
			return
		}
		if m.split.isError {
			m.fail(failureText(data))
		}
		m.token(at)
		return
	}
	if len(data) == 0 && !m.split.isError {
		return
	}
	if m.split.isError {
		m.fail(failureText(data))
		return
	}
	c := m.read(data)
	if c.bad {
		m.notAnswer(data)
		return
	}
	if c.suspect {
		if text, failed := failureIn(data, false); failed {
			m.fail(text)
		}
	}
	if c.usage {
		m.usage.seen = true
		if c.prompt > 0 {
			m.usage.prompt = c.prompt
		}
		if c.completion > 0 {
			m.usage.completion = c.completion
		}
	}
	if c.finish {
		m.finish = true
	}
	if c.token {
		m.token(at)
	}
	if !c.choices && !c.usage && !m.failed {
		m.skip(data)
	}
}

// isDone reports whether an event is the end mark: [DONE], in any case and
// with blanks around it.
func isDone(data []byte) bool {
	return len(data) >= 6 && len(data) < 32 && bytes.EqualFold(bytes.TrimSpace(data), []byte("[DONE]"))
}

// notAnswer handles an event that is not a JSON object. One that starts like an object is a
// broken chunk, and may have contained tokens; markup is a page that somebody else sent.
// Anything else (ping, "", null, a line of text) does not matter to the answer.
func (m *stream) notAnswer(data []byte) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '<' {
		m.skip(data)
		return
	}
	m.bad = true
	if m.message == "" {
		m.message = "chunk is not JSON"
	}
}

// skip counts an event that is not part of the answer, and keeps its text: if the answer
// then lacks its end, that may be the reason.
func (m *stream) skip(data []byte) {
	m.odd++
	said := bytes.TrimSpace(data)
	switch string(said) {
	case "", "{}", "[]", `""`, "null":
		return
	}
	text := wordsOf(decoded(said))
	if text == "" {
		text = string(said)
	}
	m.said = text[:min(len(text), 120)]
}

// failureText is what an event that was called an error says.
func failureText(data []byte) string {
	text, _ := failureIn(data, true)
	return text
}

// together is how soon content must follow the start of a piece to belong to it: a large
// piece takes several reads, microseconds apart. The fastest known servers take 0.4 ms per
// token, slower ones 5 to 50.
const together = time.Millisecond

// token notes that a token came.
func (m *stream) token(at time.Duration) {
	m.tokens++
	switch {
	case m.count == 0:
		m.first = at
	case at-m.last < together:
		return
	default:
		m.gap = max(m.gap, at-m.last)
	}
	m.last = at
	m.count++
}

func (m *stream) fail(message string) {
	if m.failed {
		return
	}
	m.failed = true
	m.message = message[:min(len(message), 300)]
}
