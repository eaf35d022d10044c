package scenario

import (
	"bufio"
	"bytes"
	"io"

	"github.com/hpatune/hpatune/internal/source"
)

// Split reads scenarios, one JSON object or one per line, and passes the bytes of each to each as
// soon as it is complete; an error of each ends it. It also passes a line that is not JSON, so that
// the others still run. Byte order marks are dropped.
func Split(r io.Reader, each func(data []byte) error) error {
	br := bufio.NewReaderSize(r, 1<<16)
	var pending []byte
	var scan depth
	give := func(data []byte) error {
		data = bytes.TrimSpace(source.Text(data))
		if len(data) == 0 {
			return nil
		}
		return each(data)
	}
	if head, _ := br.Peek(2); string(head) == "\xff\xfe" || string(head) == "\xfe\xff" {
		all, err := io.ReadAll(br) // UTF-16, as a Windows shell writes it: a file, not a stream
		if err != nil {
			return err
		}
		br.Reset(bytes.NewReader(source.Text(all)))
	}
	for {
		line, err := br.ReadBytes('\n')
		pending = append(pending, line...)
		scan.feed(line)
		if scan.open <= 0 && !scan.quoted {
			if err := give(pending); err != nil {
				return err
			}
			pending, scan = pending[:0], depth{}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	// The rest was never closed: it is a broken object, or a broken line with good lines after it.
	for _, line := range brokenLines(pending) {
		if err := give(line); err != nil {
			return err
		}
	}
	return nil
}

// brokenLines splits data into lines if a line after the first begins an object in its first
// column.
func brokenLines(data []byte) [][]byte {
	if !bytes.Contains(data, []byte("\n{")) {
		return [][]byte{data}
	}
	var lines [][]byte
	for part := range bytes.SplitSeq(data, []byte("\n{")) {
		if len(lines) > 0 {
			part = append([]byte{'{'}, part...)
		}
		lines = append(lines, part)
	}
	return lines
}

// depth counts open braces and brackets outside of strings.
type depth struct {
	open            int
	quoted, escaped bool
}

func (d *depth) feed(data []byte) {
	for _, c := range data {
		switch {
		case d.escaped:
			d.escaped = false
		case d.quoted && c == '\\':
			d.escaped = true
		case c == '"':
			d.quoted = !d.quoted
		case d.quoted && c == '\n':
			d.quoted = false // no JSON string spans lines
		case d.quoted:
		case c == '{' || c == '[':
			d.open++
		case c == '}' || c == ']':
			d.open--
		}
	}
}
