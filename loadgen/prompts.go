package loadgen

import (
	"math/rand/v2"
	"strconv"
)

// words are frequent English words, each one token with a leading space in the
// byte-pair vocabularies of GPT, Llama and Qwen: so a prompt of n words is a
// prompt of about n tokens for all of them. usage says what it was for one.
var words = [...]string{
	"the", "of", "and", "to", "in", "that", "is", "was", "for", "on", "are", "with", "they", "be", "at", "one",
	"have", "this", "from", "by", "not", "but", "what", "all", "were", "when", "we", "there", "can", "an", "your", "which",
	"their", "said", "if", "do", "will", "each", "about", "how", "up", "out", "them", "then", "she", "many", "some", "so",
	"these", "would", "other", "into", "has", "more", "her", "two", "like", "him", "see", "time", "could", "no", "make", "than",
}

// appendPrompt writes a text of n tokens, the same for the same seed, stream
// and index, and different in its first words for different ones: so that no
// server's prefix cache answers for its engine.
func appendPrompt(dst []byte, n int, seed, stream uint64) []byte {
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

// appendString writes s as a JSON string.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }
