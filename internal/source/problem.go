// Package source decodes YAML and JSON strictly and keeps line numbers. It reports
// all problems at once: where each one is, what was found, and what to try.
package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a file.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1; 0 = the file as a whole
	Path string `json:"path"` // stages[2].ramp.from; "" = the document
	Text string `json:"text"` // what was found, and what is wrong with it
	Try  string `json:"try"`  // what to write or run instead; "" = nothing better than the text
}

// String returns "FILE:LINE: path: text", without the hint.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all problems of some files. A nil or empty one is not an error: return
// Err(), not the value itself.
type Problems []Problem

// Error returns a line per problem, each followed by its hint:
//
//	spike.yaml:14: stages[2].rate: rate -5/s is negative
//	  Try: 5/s
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
		if p.Try != "" {
			b.WriteString("\n  Try: " + p.Try)
		}
	}
	return b.String()
}

// Err returns ps as an error, or nil if there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Sort orders by file, line and path, and drops exact repeats.
func (ps Problems) Sort() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(ps)
}

// Hint is an error that knows what to try instead. A type's UnmarshalText
// returns one to have both shown in the Problem.
type Hint struct{ Text, Try string }

// Error returns the text alone.
func (h *Hint) Error() string { return h.Text }

// Nearest returns the name that was probably meant by word, or "" if none is similar: at
// most a third of its letters may differ. Case and the marks - and _ are ignored.
func Nearest(word string, among []string) string {
	return NearestWithin(word, among, max(1, len(word)/3))
}

// NearestWithin is Nearest where at most that many letters may differ.
func NearestWithin(word string, among []string, most int) string {
	best, least := "", 1+most
	for _, name := range among {
		if d := distance(fold(word), fold(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

func fold(s string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s))
}

// distance is the Levenshtein distance, with two neighbours swapped counting
// as one. Words longer than 64 bytes are taken as infinitely far apart.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 1 << 20
	}
	var before, last, row [65]int
	for j := range b {
		last[j+1] = j + 1
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
