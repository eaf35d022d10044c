package help

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/failure"
)

func tree(t *testing.T, pages fstest.MapFS) *cobra.Command {
	t.Helper()
	root := &cobra.Command{Use: "tool", SilenceErrors: true, SilenceUsage: true}
	load := &cobra.Command{Use: "load"}
	Group(load)
	list := &cobra.Command{Use: "list [NAME]", Long: "Known: a, b", RunE: func(*cobra.Command, []string) error { return nil }}
	list.Flags().Bool("all", false, "")
	list.Flags().Int("seed", 1, "")
	list.Flags().String("price", "", "one of a, b")
	load.AddCommand(list)
	root.AddCommand(load)
	about := Command()
	Describe(root, pages)
	Describe(about, pages)
	root.AddCommand(Topic("# units: what units mean\n\nSeconds.\n"))
	root.SetHelpCommand(about)
	Wrap(root)
	return root
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func whole() fstest.MapFS {
	return fstest.MapFS{
		"help/tool.md":      file("# tool: Do a thing\n"),
		"help/help.md":      file("# help: Show help\n"),
		"help/load.md":      file("# load: Look at loads\n"),
		"help/load-list.md": file("# load list: List loads\n\nlist lists.\nAll of them.\n\n## Examples\n\n  # first\n  tool load list\n\n## Flags\n\nall: also the hidden ones: all\nprice: never shown, since Go says it\n"),
		"help/flags.md":     file("# flags: of several commands\n\n## Flags\n\nseed: seed of the draws\n"),
	}
}

func TestDescribe(t *testing.T) {
	list, _, err := tree(t, whole()).Find([]string{"load", "list"})
	if err != nil {
		t.Fatal(err)
	}
	if list.Short != "List loads" || list.Long != "list lists. All of them.\n\nKnown: a, b" || list.Example != "  # first\n  tool load list" {
		t.Errorf("list: short %q, long %q, example %q", list.Short, list.Long, list.Example)
	}
	for flag, want := range map[string]string{
		"all":   "also the hidden ones: all", // its own page
		"seed":  "seed of the draws",         // what commands share
		"price": "one of a, b",               // Go's own words
	} {
		if got := list.Flags().Lookup(flag).Usage; got != want {
			t.Errorf("--%s: usage %q, want %q", flag, got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		edit     func(fstest.MapFS)
		want     []string
	}{
		{"all is said", func(fstest.MapFS) {}, nil},
		{"a flag without words", func(m fstest.MapFS) { delete(m, "help/flags.md"); m["help/flags.md"] = file("# flags: none\n") }, []string{"help/load-list.md: no words of --seed"}},
		{"words of a flag that is gone", func(m fstest.MapFS) { m["help/load.md"] = file("# load: Look\n\n## Flags\n\nold: x\n") }, []string{"help/*.md: words of what is not there: load --old"}},
		{"words of a command that is gone", func(m fstest.MapFS) { m["help/gone.md"] = file("# gone: Go\n") }, []string{"help/*.md: words of what is not there: gone"}},
		{"a short text that is a sentence", func(m fstest.MapFS) { m["help/load.md"] = file("# load: Look.\n") }, []string{`help/load.md: "Look.": want one line without a full stop`}},
	} {
		pages := whole()
		tt.edit(pages)
		if got := Problems(tree(t, pages), pages); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Problems = %q, want %q", tt.sentence, got, tt.want)
		}
	}
}

func TestHelpAndGroups(t *testing.T) {
	for _, tt := range []struct {
		args string
		says string
		kind failure.Kind // of the error, where says is in it
	}{
		{"help load list", "list lists.", failure.Work},
		{"help units", "Seconds.", failure.Work},
		{"help unitz", "Try: units", failure.Input},
		{"load lits", `unknown command "lits" for "tool load"`, failure.Input},
		{"load", "Usage:", failure.Work},
	} {
		root := tree(t, whole())
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(strings.Fields(tt.args))
		err := root.Execute()
		text := out.String()
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, tt.says) || failure.Of(err) != tt.kind {
			t.Errorf("tool %s: %q, %v; want %q", tt.args, out.String(), err, tt.says)
		}
	}
}

func TestFlagErrorSpeaksPlainly(t *testing.T) {
	c := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }, SilenceErrors: true, SilenceUsage: true}
	c.Flags().Int("seed", 1, "")
	c.Flags().Float64("rate", 1, "")
	for args, want := range map[string]string{
		"--seed=one":                  "want a whole number",
		"--seed=99999999999999999999": "want a smaller one",
		"--rate=fast":                 "want a number",
		"--nosuch":                    "unknown flag: --nosuch",
	} {
		c.SetArgs([]string{args})
		err := c.Execute()
		if err == nil || !strings.Contains(FlagError(err), want) || strings.Contains(FlagError(err), "strconv") {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		sentence, args string
		want           string // of the error; "" = none
	}{
		{"nothing is given", "", ""},
		{"every flag has a value", "--scrape=:80/metrics --promql=a=b --seed=0", ""},
		{"a variable that is not set", "--scrape=", "--scrape was given an empty value"},
		{"one of a list", "--promql=a=b --promql=", "--promql was given an empty value"},
		{"kubectl takes an empty namespace for none", "--namespace=", ""},
		{"a duration below 0", "--startup=-90s", "--startup -1m30s: want a duration of 0 or more"},
		{"no time", "--startup=0s", ""},
		{"a number that is none", "--speed=NaN", "--speed NaN: want a number"},
		{"an endless one", "--speed=-inf", "--speed -Inf: want a number"},
		{"two of a group", "--seed=2 --scrape=:80 --speed=3", "--seed and --speed cannot be used together"},
		{"one of it", "--speed=3", ""},
	} {
		fl := pflag.NewFlagSet("run", pflag.ContinueOnError)
		fl.String("scrape", "", "")
		fl.String("namespace", "", "")
		fl.StringArray("promql", nil, "")
		fl.Int("seed", 1, "")
		fl.Duration("startup", 0, "")
		fl.Float64("speed", 1, "")
		Exclude(fl, "speed", "seed", "startup")
		if err := fl.Parse(strings.Fields(tt.args)); err != nil {
			t.Fatal(err)
		}
		err := Check(fl)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v, want no error", tt.sentence, err)
		case tt.want != "" && (failure.Of(err) != failure.Input || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want an error of the input that says %q", tt.sentence, err, tt.want)
		}
	}
}

func TestArgumentsOfACommandWithoutAny(t *testing.T) {
	fl := pflag.NewFlagSet("run", pflag.ContinueOnError)
	fl.Duration("find-capacity", 0, "")
	fl.Lookup("find-capacity").NoOptDefVal = "20s"
	fl.Bool("yes", false, "")
	for _, tt := range []struct{ sentence, args, want string }{
		{"a word too many", "--yes twice", "hpatune run takes no arguments, but was given twice"},
		{"the value of a flag that takes it after =", "--find-capacity 30s",
			"hpatune run takes no arguments, but was given 30s\nTry: --find-capacity=30s"},
	} {
		if err := fl.Parse(strings.Fields(tt.args)); err != nil {
			t.Fatal(err)
		}
		if err := Arguments("hpatune run", fl, fl.Args()); err.Error() != tt.want || failure.Of(err) != failure.Input {
			t.Errorf("%s: %q, want %q", tt.sentence, err, tt.want)
		}
	}
}
