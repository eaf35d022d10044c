package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// outputValue is the value of -o: text, or one of the other formats of a command. It is
// checked while the command line is parsed, since an hour-long run must not fail at its
// end.
type outputValue struct {
	value *string
	of    []string
}

func (o *outputValue) String() string { return *o.value }

func (o *outputValue) Type() string { return "string" }

func (o *outputValue) Set(v string) error {
	if !slices.Contains(o.of, v) {
		return fmt.Errorf("want %s", orList(o.of))
	}
	*o.value = v
	return nil
}

// outputFlag adds -o to a command, with text as the default; note ends its help.
func outputFlag(fl *pflag.FlagSet, value *string, note string, others ...string) {
	*value = "text"
	o := &outputValue{value, append([]string{"text"}, others...)}
	fl.VarP(o, "output", "o", "output format: "+orList(o.of)+note)
}

// orList is "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
