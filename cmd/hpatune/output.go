package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// format is a form of a command's answer.
type format string

// The formats; not every command has all of them.
const (
	asText     format = "text"
	asJSON     format = "json"
	asJUnit    format = "junit"
	asMarkdown format = "markdown"
	asSARIF    format = "sarif"
)

// outputValue is the value of -o: text, or one of the other formats of a command. It is
// checked while the command line is parsed, since an hour-long run must not fail at its
// end.
type outputValue struct {
	value *format
	of    []format
}

func (o *outputValue) String() string { return string(*o.value) }

func (o *outputValue) Type() string { return "string" }

// words are the formats that the command has.
func (o *outputValue) words() []string {
	words := make([]string, len(o.of))
	for i, f := range o.of {
		words[i] = string(f)
	}
	return words
}

func (o *outputValue) Set(v string) error {
	if !slices.Contains(o.of, format(v)) {
		return fmt.Errorf("want %s", orList(o.words()))
	}
	*o.value = format(v)
	return nil
}

// outputFlag adds -o to a command, with text as the default; note ends its help.
func outputFlag(fl *pflag.FlagSet, value *format, note string, others ...format) {
	*value = asText
	o := &outputValue{value, append([]format{asText}, others...)}
	fl.VarP(o, "output", "o", "output format: "+orList(o.words())+note)
}

// orList is "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
