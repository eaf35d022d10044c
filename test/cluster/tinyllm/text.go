package tinyllm

import (
	"hash/fnv"
	"strings"
)

// Encode turns text into tokens: one per word, by hash, so that a prompt of n words
// has n tokens. An empty text is one token.
func (c Config) Encode(text string) []int {
	var tokens []int
	for word := range strings.FieldsSeq(text) {
		h := fnv.New32a()
		h.Write([]byte(word))
		tokens = append(tokens, int(h.Sum32()%uint32(c.Vocab)))
	}
	if tokens == nil {
		tokens = []int{0}
	}
	return tokens
}

// Decode returns a token's text: a space and a word of two or more syllables,
// different for each token. With random weights the text has no meaning; it gives
// the answer a length, and can be read back.
func Decode(token int) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	b := []byte{' '}
	for n := token; ; {
		b = append(b, consonants[n%len(consonants)])
		n /= len(consonants)
		b = append(b, vowels[n%len(vowels)])
		n /= len(vowels)
		if n == 0 && len(b) >= 5 {
			return string(b)
		}
	}
}
