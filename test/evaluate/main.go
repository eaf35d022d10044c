// Command evaluate tests recommendations on synthetic clusters whose true behavior is known: it
// records runs, asks for a recommendation, and tries that on fresh days.
//
//	go run . -list
//	go run . -world 'cpu/slots/random'
//	go run . -table
//
// A world that this same build has judged before is not judged again: its results are in -out.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "evaluate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("evaluate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	pattern := flags.String("world", "", "only worlds whose name matches this regular expression")
	family := flags.String("family", "", "only worlds of this family: cpu, gauge, hidden, censored, wrong")
	quick := flags.Bool("quick", false, "three worlds with fewer days, in some three minutes")
	list := flags.Bool("list", false, "list the worlds and end")
	table := flags.Bool("table", false, "print the table of what -out holds, and judge nothing")
	rows := flags.String("row", "", "only rows of the table whose name contains this")
	out := flags.String("out", filepath.Join("..", "..", "bin", "evaluate"), "folder of the results, a file a world")
	gate := flags.Bool("gate", false, "recordings and their identity tests only: no truth, no picks")
	recordings := flags.Int("recordings", 4, "recordings a world")
	tuned := flags.Int("tuned", 2,
		"recordings a world that are tuned to the end; the others end with the identity test")
	days := flags.Int("days", 60, "fresh days a configuration is judged on")
	fresh := flags.Bool("fresh", false, "judge worlds again that this program has judged")
	budget := flags.Duration("budget", 0, "begin no further world after so long; 0 = none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-world: %w", err)
	}
	e := &evaluation{n: *days, recordings: *recordings, tuned: *tuned, cover: 10, margin: 30}
	all := worlds()
	if *quick {
		all, *out = quickWorlds(all), filepath.Join(*out, "quick")
		e = &evaluation{n: 20, recordings: 1, tuned: 1, cover: 10, margin: 10}
	}
	if *gate {
		e.n, e.tuned = 0, 0
		*out = filepath.Join(*out, "gate")
	}
	program, err := self()
	if err != nil {
		return err
	}
	began := time.Now()
	var reports []*report
	for _, w := range all {
		if !match.MatchString(w.Name) || *family != "" && w.Family != *family {
			continue
		}
		if *list {
			fmt.Fprintln(stdout, w.Name)
			continue
		}
		path := filepath.Join(*out, strings.NewReplacer("/", "_", " ", "-").Replace(w.Name)+".json")
		r, err := read(path)
		if err != nil {
			return err
		}
		if *table || r != nil && r.Program == program && !*fresh || *budget > 0 && time.Since(began) > *budget {
			if r != nil {
				reports = append(reports, r)
			}
			continue
		}
		start := time.Now()
		r, err = e.world(ctx, w, func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) })
		if ctx.Err() != nil {
			return errors.New("interrupted; worlds that are done stay done, begin again to go on")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		r.Program = program
		if err := write(path, r); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "%s: %.0f s %v\n", w.Name, time.Since(start).Seconds(), r.Seconds)
		reports = append(reports, r)
	}
	if *list {
		return nil
	}
	heading := ""
	if *rows == "" && len(reports) > 0 {
		heading = fmt.Sprintf("%s, %d worlds, %d recordings a world, %d days", time.Now().Format(time.DateOnly),
			len(reports), len(reports[0].Recordings), reports[0].Baselines["hand-written"].Days)
	}
	printTable(stdout, reports, *rows, heading)
	if *quick {
		return below(reports)
	}
	return nil
}

// below lists the results of the quick worlds that are worse than what was reached before: a change
// that causes one is a regression.
func below(reports []*report) error {
	var errs []error
	for _, r := range reports {
		if !bars[r.World] {
			continue
		}
		for i := range r.Recordings {
			x := &r.Recordings[i]
			switch {
			case !x.Passed:
				errs = append(errs, fmt.Errorf("%s, recording %d: the identity test says %s: %s", r.World, i+1,
					x.SelfReplay.Verdict, x.Text))
			case x.Refusal == "infeasible" && r.Best != nil:
				errs = append(errs, fmt.Errorf("%s, recording %d: no candidate, and yet %s holds", r.World, i+1,
					r.Best.Text))
			case x.Pick != nil && x.Pick.Truth.Hold < 0.8:
				errs = append(errs, fmt.Errorf("%s, recording %d: the pick %s holds on %.0f %% of days", r.World, i+1,
					x.Pick.Text, 100*x.Pick.Truth.Hold))
			}
		}
	}
	return errors.Join(errs...)
}

// self is the hash of this program. The same program would find the same results again.
func self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func read(path string) (*report, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to judge its world again", path, err)
	}
	return r, nil
}

func write(path string, r *report) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
