// Command mutants checks whether the tests of tuner/hpa would notice a mistake in it; with
// -choice, whether the tests of tuner would notice a mistake in how it chooses.
//
// It makes small changes to the package by fixed rules: each comparison (its edge, and its
// negation), each numeric constant (one more, one less), each min and max (swapped), each
// plus and minus (swapped). All changes are compiled into one test program, and an
// environment variable selects the one that is active. The source files stay as they are
// (go build -overlay). A mutant is killed if a unit test of tuner/hpa or tuner/scenario, or
// the comparison with the real controller's recorded decisions (package replay), fails.
//
// Survivors must be listed in survivors.txt (choice.txt) with an explanation. The exit code
// is 1 if one is not, if fewer than 95 % (90 % of each file) are killed, or if the tests
// fail without any mutant.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	workers := flag.Int("workers", runtime.NumCPU(), "mutants at a time")
	list := flag.Bool("list", false, "print the mutants and stop")
	only := flag.Int("only", 0, "run only this mutant, and print the output of its tests")
	verbose := flag.Bool("v", false, "print the survivors after each set of tests")
	choice := flag.Bool("choice", false, "mutate how tuner chooses instead of the core")
	match := flag.String("files", "", "with -choice: only files that match this regular expression")
	quick := flag.Bool("quick", false, "with -choice: leave out the tests that take longest")
	keep := flag.String("survivors", "mutants/survivors.txt", "file with the explained survivors")
	keepChoice := flag.String("choice-survivors", "mutants/choice.txt", "the same for -choice")
	scenarios := flag.Int("scenarios", 2000, "how many recorded scenarios to replay with each mutant")
	atLeast := flag.Float64("at-least", 0.95, "share that must be killed")
	flag.Parse()
	if *choice {
		var files *regexp.Regexp
		var err error
		if *match != "" {
			files, err = regexp.Compile(*match)
		}
		if err == nil {
			err = chosen(files, *keepChoice, choiceOptions{workers: *workers, quick: *quick, verbose: *verbose})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*workers, *scenarios, *list, *verbose, *only, *keep, *atLeast); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// A killer is a compiled test program.
type killer struct {
	name, dir, bin string
	short          bool
	limit          time.Duration
	cpu            time.Duration // limit of processor time; 0 = none
}

func run(workers, scenarios int, list, verbose bool, only int, keep string, atLeast float64) error {
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	files, mutants, err := rewrite(filepath.Join(root, "tuner", "hpa"), nil)
	if err != nil {
		return err
	}
	if list {
		for _, m := range mutants {
			fmt.Printf("%4d %s:%d %s [%s]\n", m.id, m.file, m.line, m.key(), m.rule)
		}
		return nil
	}
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	over, err := overlaid(tmp, files)
	if err != nil {
		return err
	}

	killers := []*killer{
		{name: "hpa", dir: filepath.Join(root, "tuner", "hpa")},
		{name: "scenario", dir: filepath.Join(root, "tuner", "scenario")},
		{name: "replay", dir: filepath.Join(root, "test", "conformance", "replay"), short: true},
	}
	for _, k := range killers {
		k.bin = filepath.Join(tmp, k.name+".test")
		build := exec.Command("go", "test", "-c", "-overlay", over, "-o", k.bin, ".")
		build.Dir = k.dir
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", k.name, err, out)
		}
		k.limit = time.Hour
		begin := time.Now()
		if ok, out := k.run(0); !ok {
			return fmt.Errorf("%s fails without a mutant:\n%s", k.name, out)
		}
		took := time.Since(begin)
		k.cpu = max(15*time.Second, 8*took)
		fmt.Printf("%-8s passes in %v without a mutant\n", k.name, took.Round(time.Millisecond))
	}
	if only > 0 {
		fmt.Println(mutants[only-1].key())
		for _, k := range killers {
			ok, out := k.run(only)
			fmt.Printf("%s: survived %v\n%s\n", k.name, ok, out)
		}
		return nil
	}

	begin := time.Now()
	left := mutants
	by := map[string]int{}
	count := func(name string, dead map[int]bool) {
		by[name] = len(dead)
		left = slices.DeleteFunc(slices.Clone(left), func(m *mutant) bool { return dead[m.id] })
		fmt.Printf("%-9s kills %d, leaves %d (%v)\n", name, len(dead), len(left), time.Since(begin).Round(time.Second))
		for _, m := range left {
			if verbose {
				fmt.Printf("  survives: %d %s:%d %s\n", m.id, m.file, m.line, m.key())
			}
		}
	}
	for _, k := range killers[:2] {
		count(k.name, k.kill(left, workers))
	}
	dead, err := replayed(root, over, tmp, workers, scenarios, left)
	if err != nil {
		return err
	}
	count("replay", dead)
	var early []*mutant // in package variables, which are set before the program can select a mutant
	for _, m := range left {
		if m.fn == "" {
			early = append(early, m)
		}
	}
	count("start", killers[2].kill(early, workers))
	survivors := left

	known, err := explained(keep)
	if err != nil {
		return err
	}
	open := 0
	for _, m := range survivors {
		if known[m.key()] == "" {
			open++
			fmt.Printf("survives: %d %s:%d %s\n", m.id, m.file, m.line, m.key())
		}
		delete(known, m.key())
	}
	for k := range known {
		fmt.Printf("listed as a survivor, but killed or gone: %s\n", k)
	}
	killed := float64(len(mutants)-len(survivors)) / float64(len(mutants))
	if scenarios < 2000 {
		fmt.Printf("only %d of the recorded scenarios were replayed\n", scenarios)
	}
	fmt.Printf(
		"%d mutants, %d killed (%.1f %%: tests of hpa %d, of scenario %d, recorded decisions %d), %d survive, %d of them unexplained, in %v\n",
		len(
			mutants,
		),
		len(mutants)-len(survivors),
		100*killed,
		by["hpa"],
		by["scenario"],
		by["replay"]+by["start"],
		len(survivors),
		open,
		time.Since(begin).Round(time.Second),
	)
	switch {
	case killed < atLeast:
		return fmt.Errorf("%.1f %% killed, want %.0f %%", 100*killed, 100*atLeast)
	case open > 0:
		return fmt.Errorf("%d survivors without an explanation in %s", open, keep)
	}
	return nil
}

// kill runs the tests once for each mutant and returns those with which they fail.
func (k *killer) kill(mutants []*mutant, workers int, args ...string) map[int]bool {
	dead := map[int]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan *mutant)
	for range workers {
		wg.Go(func() {
			for m := range next {
				if ok, _ := k.run(m.id, args...); !ok {
					mu.Lock()
					dead[m.id] = true
					mu.Unlock()
				}
			}
		})
	}
	for _, m := range mutants {
		next <- m
	}
	close(next)
	wg.Wait()
	return dead
}

// replayed returns the mutants that change a recorded decision. One running program selects
// them in turn, so a mutant that acts before main (in a package variable) is not noticed here.
func replayed(root, over, tmp string, workers, scenarios int, mutants []*mutant) (map[int]bool, error) {
	bin := filepath.Join(tmp, "replayed.test")
	build := exec.Command("go", "test", "-c", "-tags", "mutants", "-overlay", over, "-o", bin, ".")
	build.Dir = filepath.Join(root, "test", "conformance", "replay")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("replay: %w\n%s", err, out)
	}
	shares := make([][]string, workers)
	for i, m := range mutants {
		shares[i%workers] = append(shares[i%workers], fmt.Sprint(m.id))
	}
	dead := map[int]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w, share := range shares {
		wg.Go(func() {
			for from := 0; from < len(share); {
				c := exec.Command(bin, "-test.run", "^TestMutants$", "-test.timeout", "1h")
				c.Dir = build.Dir
				c.Env = append(
					os.Environ(),
					fmt.Sprintf("HPA_SCENARIOS=%d", scenarios),
					"HPA_MUTANTS="+strings.Join(share, " "),
					fmt.Sprintf("HPA_MUTANTS_FROM=%d", from),
				)
				out, err := c.CombinedOutput()
				for line := range strings.Lines(string(out)) {
					var id int
					var killed bool
					if n, _ := fmt.Sscanf(line, "mutant %d killed %t", &id, &killed); n != 2 {
						continue
					}
					from++
					if killed {
						mu.Lock()
						dead[id] = true
						mu.Unlock()
					}
				}
				if err == nil {
					return
				}
				if !strings.Contains(string(out), "goroutine ") {
					errs[w] = fmt.Errorf("replay: %w\n%s", err, out)
					return
				}
				id := 0 // the mutant that ended the program
				fmt.Sscan(share[from], &id)
				mu.Lock()
				dead[id] = true
				mu.Unlock()
				from++
			}
		})
	}
	wg.Wait()
	return dead, errors.Join(errs...)
}

// run runs the tests with the mutant active, with further arguments, and reports whether
// they pass. A mutant that never ends is stopped by its processor time, which does not
// depend on how busy the machine is; one that allocates for ever is stopped at 4 GB.
func (k *killer) run(id int, args ...string) (ok bool, output string) {
	ctx, cancel := context.WithTimeout(context.Background(), k.limit)
	defer cancel()
	limits := "ulimit -v 4194304; "
	if k.cpu > 0 {
		limits += fmt.Sprintf("ulimit -t %d; ", int(k.cpu.Seconds()))
	}
	c := exec.CommandContext(ctx, "sh", append([]string{
		"-c", limits + `exec "$0" "$@"`, k.bin,
		"-test.failfast",
		"-test.timeout", k.limit.String(),
		"-test.run", "^(Test|Example|Fuzz)",
		fmt.Sprintf("-test.short=%v", k.short),
	}, args...)...)
	c.Dir = k.dir
	c.Env = append(os.Environ(), fmt.Sprintf("HPA_MUTANT=%d", id))
	out, err := c.CombinedOutput()
	return err == nil, string(out)
}

// explained reads lines of "key<TAB>explanation"; a line that begins with # is a comment.
func explained(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := map[string]string{}
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, why, ok := strings.Cut(line, "\t")
		if !ok || strings.TrimSpace(why) == "" {
			return nil, fmt.Errorf("%s:%d: want a mutant, a tab and an explanation", name, n)
		}
		known[strings.TrimSpace(key)] = why
	}
	return known, s.Err()
}
