// Command hpatune finds the HorizontalPodAutoscaler settings that meet an SLO
// at the lowest cost: it sends a staged load at an inference endpoint, records
// what the autoscaler saw and did, and replays the offered load under hundreds
// of candidate configurations.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/help"
	"github.com/hpatune/hpatune/internal/layout"
	"github.com/hpatune/hpatune/internal/live"
	"github.com/hpatune/hpatune/internal/plain"
)

// version is set by the Makefile from git (-ldflags -X main.version=…).
var version = "0.1.0-dev"

// Exit codes, on which users' pipelines rely. If several apply, exitRank decides.
const (
	exitOK           = 0
	exitFailed       = 1   // could not do it
	exitUsage        = 2   // usage, or a bad input file
	exitMissed       = 3   // objective missed, test failed, doctor found an error
	exitNotValid     = 4   // the evidence is not valid, or advice is refused
	exitInconclusive = 5   // the interval straddles the limit
	exitInterrupted  = 130 // interrupted, the partial run kept
)

// exitRank lists exit codes, the one with the highest priority first.
var exitRank = []int{exitInterrupted, exitUsage, exitFailed, exitNotValid, exitMissed, exitInconclusive}

// worse returns the exit code with the higher priority.
func worse(a, b int) int {
	for _, code := range exitRank {
		if a == code || b == code {
			return code
		}
	}
	return exitOK
}

// exitError is an error with an exit code. A nil err means that everything has been printed
// already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit makes an error that ends the command with code, printing err if any.
func exit(code int, err error) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code, err}
}

// usagef is an error of the command line: exit code 2.
func usagef(format string, args ...any) error { return failure.Inputf(format, args...) }

// ended returns a command's error as one with an exit code.
func ended(err error) error {
	var e *exitError
	if err == nil || errors.As(err, &e) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, err}
	}
	code := map[failure.Kind]int{failure.Work: exitFailed, failure.Input: exitUsage, failure.Evidence: exitNotValid}
	return &exitError{code[failure.Of(err)], err}
}

// streams are the command's input and output. Results go to out; progress and warnings go
// to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// warnf prints a warning or a step on stderr. Lines are broken only on a terminal; in a
// log, one message is one line.
func (s streams) warnf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if live.On(s.err) {
		text = layout.Text(text, layout.Width(s.err))
	}
	fmt.Fprintln(s.err, text)
}

// line prints a line of the answer on stdout.
func (s streams) line(format string, args ...any) error {
	_, err := fmt.Fprintln(s.out, layout.Text(fmt.Sprintf(format, args...), layout.Width(s.out)))
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		stop() // a second Ctrl-C ends at once
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole command: arguments in, exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := streams{stdin, live.Terminal(stdout), live.Terminal(stderr)}
	root := newRoot(s)
	root.SetArgs(args)
	root.InitDefaultCompletionCmd(args...)
	answering(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var ee *exitError
	if !errors.As(err, &ee) {
		ee = &exitError{exitUsage, err}
	}
	code := ee.code
	if err := ee.err; err != nil {
		s.warnf("hpatune: %s", plain.Error(err))
	}
	return code
}

// answering makes every command return an *exitError. Any other error of the tree is then
// cobra's own: it was parsing the command line, and no command has started. The error of a
// wrong number of arguments shows the command's usage line.
func answering(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if err != nil && len(args) > 0 && !c.HasSubCommands() && check(c, nil) == nil && check(c, args[:1]) != nil {
				return help.Arguments(c.CommandPath(), c.Flags(), args)
			}
			if err == nil || !strings.Contains(err.Error(), "arg(s)") {
				return err
			}
			given := "needs an argument"
			if len(args) == 1 {
				given = "was given one argument"
			} else if len(args) > 1 {
				given = fmt.Sprintf("was given %d arguments", len(args))
			}
			return usagef("%s %s\nTry: %s", c.CommandPath(), given, c.UseLine())
		}
	}
	if work := c.RunE; work != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := help.Check(c.Flags()); err != nil {
				return ended(err)
			}
			return ended(work(c, args))
		}
	}
	for _, sub := range c.Commands() {
		answering(sub)
	}
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "hpatune",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
	}
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl-") { // as a plugin: kubectl hpatune run …
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hpatune"}
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%s\nTry: %s --help", help.FlagError(err), c.CommandPath())
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	groups := []struct {
		id, title string
		cmds      []*cobra.Command
	}{
		{
			"job",
			"Main commands:",
			[]*cobra.Command{newDemoCmd(s), newRunCmd(s), newTuneCmd(s), newVerifyCmd(s), newGateCmd(s)},
		},
		{
			"look",
			"Inspect and debug:",
			[]*cobra.Command{
				newReportCmd(s),
				newExplainCmd(s),
				newImportCmd(s),
				newFitCmd(s),
				newMergeCmd(s),
				newReplayCmd(s),
				newDecideCmd(s),
				newTestCmd(s),
				newDoctorCmd(s),
				newProfileCmd(s),
			},
		},
		{
			"more",
			"Other commands:",
			[]*cobra.Command{newRestoreCmd(s), newRBACCmd(s), newInitCmd(s), newSchemaCmd(s), newVersionCmd(s)},
		},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.cmds {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newWorkerCmd(s)) // hidden: what the pods of a fleet run
	help.Describe(root, pages)
	root.AddCommand(newTopicCmds()...)
	about := help.Command()
	help.Describe(about, pages)
	root.SetHelpCommand(about)
	root.SetHelpCommandGroupID("more")
	complete(root)
	help.Wrap(root)
	return root
}

func newVersionCmd(s streams) *cobra.Command {
	return &cobra.Command{
		Use:  "version",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(s.out, "hpatune %s (HPA decisions as kube-controller-manager v1.37)\n", version)
			return err
		},
	}
}
