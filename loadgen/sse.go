package loadgen

import "bytes"

// maxEvent bounds what one event may hold in memory: 8 MB, some hundred times
// the longest chunk seen from a real server.
const maxEvent = 8 << 20

// A splitter cuts an event stream (WHATWG HTML, 9.2) into the data of its
// events. It is a pure state machine: it takes bytes as they come, in pieces of
// any size, and knows neither time nor network.
//
// It is tolerant where servers are sloppy: lines end in LF, CRLF or CR, a
// piece may hold many events and an event may span pieces, and a last event
// without its blank line is still given by flush.
//
// The zero value is ready. Once its buffers have grown it does not allocate.
type splitter struct {
	line    []byte // the unfinished line
	data    []byte // data lines of the event so far, each with a final LF
	isError bool   // the event just given had the type "error"
	typed   bool   // an "event: error" line was seen in the event so far
	has     bool   // the event so far has a data line
	given   bool   // data was handed out and is to be emptied
	cr      bool   // the last byte was a CR: a LF that follows belongs to it
	started bool   // the first line is over: no byte order mark any more
	tooLong bool   // an event above maxEvent was cut: the stream is not to be trusted
}

// reset makes the splitter ready for another stream, keeping its buffers.
func (s *splitter) reset() { *s = splitter{line: s.line[:0], data: s.data[:0]} }

// next reads from p up to the end of the first event in it. It returns the
// event's data, valid until the next call, and what is left of p; ok is false
// when p is used up without completing an event.
func (s *splitter) next(p []byte) (data, rest []byte, ok bool) {
	if s.given {
		s.data, s.given, s.has = s.data[:0], false, false
	}
	for len(p) > 0 {
		if s.cr {
			s.cr = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		end := bytes.IndexByte(p, '\n')
		head := p
		if end >= 0 {
			head = p[:end]
		}
		if cr := bytes.IndexByte(head, '\r'); cr >= 0 {
			end, s.cr = cr, true
		}
		if end < 0 {
			s.line = s.keep(s.line, p)
			return nil, nil, false
		}
		line := p[:end]
		if len(s.line) > 0 {
			s.line = s.keep(s.line, line)
			line = s.line
		}
		p = p[end+1:]
		if s.take(line) {
			s.line = s.line[:0]
			return s.give(), p, true
		}
		s.line = s.line[:0]
	}
	return nil, nil, false
}

// flush ends the stream: it returns the data of an event that lacks its blank
// line, if there is one.
func (s *splitter) flush() (data []byte, ok bool) {
	if s.given {
		s.data, s.given, s.has = s.data[:0], false, false
	}
	if len(s.line) > 0 {
		s.take(s.line)
		s.line = s.line[:0]
	}
	if !s.has {
		return nil, false
	}
	return s.give(), true
}

// give hands out the data gathered, without the last LF.
func (s *splitter) give() []byte {
	s.given, s.isError, s.typed = true, s.typed, false
	return s.data[:len(s.data)-1]
}

// take reads one line and reports whether it completed an event.
func (s *splitter) take(line []byte) bool {
	if !s.started {
		s.started = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if len(line) == 0 {
		if !s.has {
			s.typed = false
		}
		return s.has
	}
	// "data: x" is nearly every line there is.
	if len(line) > 5 && line[4] == ':' && string(line[:4]) == "data" {
		s.add(value(line[5:]))
		return false
	}
	name, rest, _ := bytes.Cut(line, []byte{':'})
	switch string(name) {
	case "data":
		s.add(value(rest))
	case "event":
		s.typed = string(value(rest)) == "error"
	}
	return false
}

func (s *splitter) add(v []byte) {
	s.has = true
	s.data = append(s.keep(s.data, v), '\n')
}

// keep appends v to buf unless that breaks maxEvent.
func (s *splitter) keep(buf, v []byte) []byte {
	if len(buf)+len(v) > maxEvent {
		s.tooLong = true
		return buf
	}
	return append(buf, v...)
}

// value drops the one space that may follow the colon.
func value(b []byte) []byte {
	if len(b) > 0 && b[0] == ' ' {
		return b[1:]
	}
	return b
}
