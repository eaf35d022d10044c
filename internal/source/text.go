package source

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
)

// mark is the byte order mark in UTF-8.
var mark = []byte("\uFEFF")

// Text returns data as UTF-8 without byte order marks. Windows shells put one
// before a file (PowerShell's > writes UTF-16 besides), and joining such files
// leaves marks at the start of lines. Lines keep their numbers; data without a
// mark is returned as it is.
func Text(data []byte) []byte {
	if len(data) >= 2 {
		switch {
		case data[0] == 0xff && data[1] == 0xfe:
			data = fromUTF16(data[2:], binary.LittleEndian)
		case data[0] == 0xfe && data[1] == 0xff:
			data = fromUTF16(data[2:], binary.BigEndian)
		}
	}
	if !bytes.Contains(data, mark) {
		return data
	}
	data = bytes.TrimPrefix(data, mark)
	return bytes.ReplaceAll(data, append([]byte{'\n'}, mark...), []byte{'\n'})
}

func fromUTF16(data []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, 0, len(data)/2)
	for ; len(data) >= 2; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	return []byte(string(utf16.Decode(units)))
}

// values cuts JSON values that follow each other ({…}{…}, as jq and tools that
// append to a file print them) into one piece each, with the number of lines
// before it. nil where data is anything else than two or more such values.
func values(data []byte) (pieces [][]byte, lines []int) {
	start, open, line, from := -1, 0, 0, 0
	quoted, escaped := false, false
	for i, c := range data {
		if c == '\n' {
			line++
		}
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
		case open == 0 && (c == '{' || c == '['):
			start, from, open = i, line, 1
		case open == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return nil, nil
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			open++
		case open > 0 && (c == '}' || c == ']'):
			if open--; open == 0 {
				pieces, lines = append(pieces, data[start:i+1]), append(lines, from)
			}
		}
	}
	if open > 0 || len(pieces) < 2 {
		return nil, nil
	}
	return pieces, lines
}
