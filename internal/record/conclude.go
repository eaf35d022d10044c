package record

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hpatune/hpatune/results"
)

// ErrInvalid ends a run that is complete, but not valid evidence; its trust line gives the
// reason.
var ErrInvalid = errors.New("the run is not valid evidence")

// Conclude turns the error with which Record returned, for a run kept in dir, into a note
// for the user ("" = nothing to add) and an error, unless the run ended well:
// context.Canceled, ErrLeft, ErrInvalid, or one that is self-explanatory.
func Conclude(
	run *results.Run, err error, dir string, objectives []results.Objective,
) (note string, end error) {
	const kept = "The partial run is kept. Try: hpatune report"
	switch {
	case run == nil && errors.Is(err, context.Canceled):
		return "interrupted before anything was sent", err
	case run == nil:
		return "", err
	case errors.Is(err, context.Canceled):
		return "interrupted; the partial run is kept\nTry: hpatune report " + dir, err
	case errors.Is(err, ErrLeft):
		return "", err // what is left has been said
	case err != nil:
		return "", fmt.Errorf("%w\n%s %s", err, kept, dir)
	case run.Meta.Client.Aborted != "":
		return "", fmt.Errorf("the abort rule ended the run: %s\n%s %s", run.Meta.Client.Aborted, kept, dir)
	}
	sum := results.Summarize(run, objectives)
	switch {
	case sum.Load.OK == 0 && sum.Load.Scheduled+len(sum.WarmupErrors) > 0:
		why := "no error was recorded"
		if errs := slices.Concat(sum.Errors, sum.WarmupErrors); len(errs) > 0 {
			why = errs[0].Error
		}
		check := ""
		if f := sum.Load.Failed; f.Connect+f.Reset+f.Timeout+f.HTTP4xx+f.HTTP5xx > 0 { // else it speaks the protocol
			t := run.Meta.Target
			check = fmt.Sprintf("Check that %s is up and that its protocol is %s. ", t.URL, t.Protocol)
		}
		return "", fmt.Errorf("no request was answered: %s\n%sThe run is kept. Try: hpatune report %s", why, check, dir)
	case run.Meta.Context[ShardKey] != "":
		return fmt.Sprintf("this is shard %s, so there is no verdict yet; merge all shards with: hpatune merge %s …",
			run.Meta.Context[ShardKey], dir), nil
	case sum.Trust.Verdict == results.Invalid:
		return "", ErrInvalid
	}
	return "", nil
}
