package loadgen

import (
	"strings"
	"sync"
)

// maxErrors limits the table of distinct error texts; later ones count as otherErrors.
const (
	maxErrors   = 200
	otherErrors = "other errors (the table of distinct ones is full)"
)

// A table assigns small numbers to texts, in order of appearance.
type table struct {
	mu    sync.Mutex
	index map[string]int32
	texts []string
	limit int // 0 = none
	other string
	added func(i int32, text string) // called once per new text, in order; may be nil
}

// of returns the number of text.
func (t *table) of(text string) int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[text]; ok {
		return i
	}
	if t.limit > 0 && len(t.texts) >= t.limit-1 {
		text = t.other
		if i, ok := t.index[text]; ok {
			return i
		}
	}
	if t.index == nil {
		t.index = map[string]int32{}
	}
	i := int32(len(t.texts))
	t.index[text] = i
	t.texts = append(t.texts, text)
	if t.added != nil {
		t.added(i, text)
	}
	return i
}

// all returns the texts by number.
func (t *table) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.texts...)
}

// fold removes from an error text what differs between requests, so that a storm of one
// error is one line: addresses with their ports become ADDR, other long numbers and
// hexadecimal ids become N, and the text is cut after 200 bytes. Words and short numbers (a
// status code) stay.
func fold(text string) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < 200; {
		c := text[i]
		if !isWord(c) && c != '[' {
			b.WriteByte(c)
			i++
			continue
		}
		j := i
		for j < len(text) && (isWord(text[j]) || strings.IndexByte(".:[]-", text[j]) >= 0) {
			j++
		}
		// Punctuation at the end belongs to the sentence.
		for j > i+1 && strings.IndexByte(".:-", text[j-1]) >= 0 {
			j--
		}
		b.WriteString(foldToken(text[i:j]))
		i = j
	}
	s := strings.TrimSpace(b.String())
	// The cut may fall inside a rune, and servers send anything.
	return strings.ToValidUTF8(strings.Join(strings.Fields(s[:min(len(s), 200)]), " "), "")
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// foldedAddress stands for an address with its port.
const foldedAddress = "ADDR"

// foldToken judges one run of word characters, dots, colons, brackets and dashes.
func foldToken(t string) string {
	digits, hex, dots, colons := 0, 0, 0, 0
	for i := range len(t) {
		switch c := t[i]; {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			hex++
		case c == '.':
			dots++
		case c == ':':
			colons++
		}
	}
	rest := len(t) - hex - dots - colons - strings.Count(t, "[") - strings.Count(t, "]") - strings.Count(t, "-")
	switch {
	case digits == 0:
		return t
	case rest == 0 && digits == hex && dots == 3 && colons <= 1: // 10.0.0.1 or 10.0.0.1:80
		return foldedAddress
	case rest == 0 && colons >= 2: // [::1]:80
		return foldedAddress
	case colons == 1 && isPort(t[strings.IndexByte(t, ':')+1:]): // host:80
		return foldToken(t[:strings.IndexByte(t, ':')]) + ":PORT"
	case strings.HasPrefix(t, "0x"), rest == 0 && len(t) >= 8: // ids
		return "N"
	case digits == len(t) && len(t) > 3: // 1024, but not 503
		return "N"
	case digits >= 4 && len(t) >= 8: // chatcmpl-1f39a04c
		return "N"
	}
	return t
}

func isPort(s string) bool {
	if len(s) < 2 || len(s) > 5 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
