package loadgen

import (
	"bytes"
	"time"

	"github.com/hpatune/hpatune/results"
)

// chunk is what one data chunk of an OpenAI-style stream says.
type chunk struct {
	token      bool   // content, text, reasoning or tool-call content that is not empty
	finish     bool   // a finish_reason that is not null
	usage      bool   // a usage object with figures
	prompt     int    // usage.prompt_tokens
	completion int    // usage.completion_tokens
	failed     bool   // an error object
	message    []byte // its text, as written; points into the chunk
	bad        bool   // not a JSON object

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
			for first := true; s.more(']', &first); {
				s.choice(&c)
			}
		case "usage":
			s.usage(&c)
		case "error":
			c.failed, c.message = s.failure()
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
			if s.full() {
				c.finish = true
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

func (s *scanner) usage(c *chunk) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	s.i++
	for first := true; s.more('}', &first); {
		switch string(s.key()) {
		case "prompt_tokens":
			c.prompt = s.number()
			c.usage = true
		case "completion_tokens":
			c.completion = s.number()
			c.usage = true
		default:
			s.skip()
		}
	}
}

// failure reads the value of an "error" member: a text, or an object with a
// message. null, "" and {} are no failure.
func (s *scanner) failure() (failed bool, message []byte) {
	switch s.peek() {
	case '"':
		m := s.str()
		return len(m) > 0, m
	case '{':
		s.i++
		for first := true; s.more('}', &first); {
			failed = true
			if string(s.key()) == "message" && s.peek() == '"' {
				message = s.str()
			} else {
				s.skip()
			}
		}
		return failed, message
	}
	return s.full(), nil
}

// A stream meters one streamed answer: it is fed bytes with the instant at
// which they came, and keeps when the first and the last token came, the
// longest gap between tokens, and how the stream says it ended.
//
// The instant is taken before the bytes are parsed, once for all tokens of one
// read: what came together came together.
type stream struct {
	split       splitter
	first, last time.Duration // NotYet without a token
	gap         time.Duration
	tokens      int // chunks with content
	usage       chunkUsage
	finish      bool // some choice said why it finished
	done        bool // [DONE] was seen
	failed      bool // an error inside
	bad         bool // a chunk that is not JSON
	message     string

	// The chunk before, without its text: most chunks differ from the one before
	// in their text alone, and comparing is ten times faster than scanning.
	head, tail []byte

	plain  bool // any stream: each event is progress, none is parsed
	pieces bool // not an event stream: each read is progress
}

// chunkUsage is the last usage object that was seen.
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
			return chunk{token: true, from: n, to: n + len(text)}
		}
	}
	c := readChunk(b)
	if c.to > 0 && !c.finish && !c.usage && !c.failed && !c.bad {
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
			m.fail([]byte("event longer than 8 MB"))
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
	if string(data) == "[DONE]" {
		m.done = true
		return
	}
	if len(data) == 0 {
		return
	}
	if m.plain {
		if m.split.isError {
			m.fail(data)
		}
		m.token(at)
		return
	}
	c := m.read(data)
	switch {
	case c.bad && m.split.isError:
		m.fail(data)
		return
	case c.bad:
		m.bad = true
		if m.message == "" {
			m.message = "chunk is not JSON"
		}
		return
	case c.failed || m.split.isError:
		m.fail(c.message)
	}
	if c.usage {
		m.usage = chunkUsage{true, c.prompt, c.completion}
	}
	if c.finish {
		m.finish = true
	}
	if c.token {
		m.token(at)
	}
}

// token notes that a token came.
func (m *stream) token(at time.Duration) {
	if m.tokens == 0 {
		m.first = at
	} else if g := at - m.last; g > m.gap {
		m.gap = g
	}
	m.last = at
	m.tokens++
}

func (m *stream) fail(message []byte) {
	if m.failed {
		return
	}
	m.failed = true
	m.message = string(message[:min(len(message), 300)])
	if m.message == "" {
		m.message = "no message"
	}
}
