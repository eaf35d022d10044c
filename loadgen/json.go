package loadgen

import "bytes"

// A scanner walks JSON in place. It decodes and allocates nothing: only a few members of a
// chunk matter, and encoding/json takes ten times the 200 ns that metering an event may
// cost. It is lenient about the inside of numbers and literals, and strict about structure:
// after a walk, bad says whether the bytes were not JSON.
type scanner struct {
	b   []byte
	i   int
	bad bool
}

func (s *scanner) ws() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	s.ws()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// eat takes the byte c or marks the text as bad.
func (s *scanner) eat(c byte) bool {
	if s.peek() != c || s.bad {
		s.bad = true
		return false
	}
	s.i++
	return true
}

// more steps to the next member of an object ('}') or element of an array
// (']'); first is true at the first call and is cleared. It reports whether
// there is one.
func (s *scanner) more(end byte, first *bool) bool {
	if s.bad {
		return false
	}
	c := s.peek()
	if c == end {
		s.i++
		return false
	}
	if !*first {
		if !s.eat(',') {
			return false
		}
		if s.peek() == end { // a trailing comma
			s.bad = true
			return false
		}
	}
	*first = false
	return true
}

// key reads a member's name and the colon; the name is as written, escapes and all.
func (s *scanner) key() []byte {
	k := s.str()
	s.eat(':')
	return k
}

// str reads a string and returns what is between its quotes, escapes and all.
func (s *scanner) str() []byte {
	if !s.eat('"') {
		return nil
	}
	from := s.i
	for {
		q := bytes.IndexByte(s.b[s.i:], '"')
		if q < 0 {
			s.bad = true
			return nil
		}
		end := s.i + q
		s.i = end + 1
		// A quote is escaped where an odd number of backslashes stands before it.
		n := 0
		for end-n > from && s.b[end-n-1] == '\\' {
			n++
		}
		if n%2 == 0 {
			return s.b[from:end]
		}
	}
}

// skip reads a value of any kind.
func (s *scanner) skip() {
	switch s.peek() {
	case '"':
		s.str()
	case '{', '[':
		s.nested()
	default:
		s.scalar()
	}
}

// nested reads an object or array without recursion, so that no depth of
// nesting can exhaust the stack. It checks that brackets balance, not what is
// between them.
func (s *scanner) nested() {
	depth := 0
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case '"':
			s.str()
			if s.bad {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.i++
		if depth == 0 {
			return
		}
	}
	s.bad = true
}

// scalar reads a number, true, false or null.
func (s *scanner) scalar() []byte {
	s.ws()
	from := s.i
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r', '"', '{', '[', ':':
			if s.i == from {
				s.bad = true
			}
			return s.b[from:s.i]
		}
		s.i++
	}
	if s.i == from {
		s.bad = true
	}
	return s.b[from:]
}

// number reads a count, digits or digits with a fraction of 0 ("5.0"); anything
// else is 0.
func (s *scanner) number() int {
	if c := s.peek(); c == '"' || c == '{' || c == '[' {
		s.skip()
		return 0
	}
	n := 0
	text := s.scalar()
	if i := bytes.IndexByte(text, '.'); i > 0 && len(bytes.Trim(text[i+1:], "0")) == 0 {
		text = text[:i]
	}
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<40 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// full reads a value and reports whether it contains information: a string, array or object
// that is not empty, anything but null.
func (s *scanner) full() bool {
	switch s.peek() {
	case '"':
		return len(s.str()) > 0
	case '{', '[':
		from := s.i
		s.nested()
		return len(bytes.TrimSpace(s.b[min(from+1, len(s.b)):max(s.i-1, from+1)])) > 0
	}
	return string(s.scalar()) != "null"
}
