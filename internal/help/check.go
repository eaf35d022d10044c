package help

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/figure"
)

// excludes is the annotation of a flag with the flags that it excludes.
const excludes = "hpatune_excludes"

// Exclude says that no two of these flags can be used together. Check enforces it, in plainer
// words than cobra's.
func Exclude(fl *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f := fl.Lookup(name)
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		for _, other := range names {
			if other != name {
				f.Annotations[excludes] = append(f.Annotations[excludes], other)
			}
		}
	}
}

// Check rejects given flags that no command accepts: with an empty value, as in --scrape
// "$UNSET", since the user expects it to have an effect; a duration below 0; a number that is
// none (NaN, Inf); and two flags that exclude each other. It returns the first, by name.
func Check(fl *pflag.FlagSet) (err error) {
	fl.Visit(func(f *pflag.Flag) {
		if err == nil {
			err = checkFlag(fl, f)
		}
	})
	return err
}

func checkFlag(fl *pflag.FlagSet, f *pflag.Flag) error {
	for _, other := range f.Annotations[excludes] {
		if fl.Changed(other) {
			return failure.Inputf("--%s and --%s cannot be used together", f.Name, other)
		}
	}
	text := f.Value.String()
	empty := f.Value.Type() == "string" && text == ""
	if list, ok := f.Value.(pflag.SliceValue); ok {
		empty = slices.Contains(list.GetSlice(), "")
	}
	switch f.Value.Type() {
	case "duration":
		if d, err := time.ParseDuration(text); err == nil && d < 0 {
			return failure.Inputf("--%s %s: want a duration of 0 or more", f.Name, figure.Duration(d))
		}
	case "float64":
		if x, err := strconv.ParseFloat(text, 64); err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
			return failure.Inputf("--%s %s: want a number", f.Name, text)
		}
	}
	// For flags that kubectl also has, an empty value means "not given", as in kubectl.
	if empty && !slices.Contains([]string{"kubeconfig", "context", "namespace"}, f.Name) {
		return failure.Inputf("--%s was given an empty value\nTry: give it one, or omit --%[1]s", f.Name)
	}
	return nil
}

// Arguments is the error of a command that takes no arguments and was given some. A flag whose
// value is optional takes it only after "=", which users forget.
func Arguments(command string, fl *pflag.FlagSet, args []string) error {
	hint := ""
	fl.Visit(func(f *pflag.Flag) {
		if f.NoOptDefVal != "" && f.Value.Type() != "bool" {
			hint = "\nTry: --" + f.Name + "=" + args[0]
		}
	})
	return failure.Inputf("%s takes no arguments, but was given %s%s", command, strings.Join(args, " "), hint)
}
