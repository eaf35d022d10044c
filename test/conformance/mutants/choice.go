package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rooms lists the files that make tuner's choice: those that form, score and compare
// candidates, and those that compute what a day costs. nil means all files of the folder.
// The folder's short tests must notice each mutant. They run fastest first, until one fails.
var rooms = []struct {
	dir   string
	files []string
}{
	{"tuner", []string{
		"bench.go", "choose.go", "descend.go", "doubt.go", "edge.go", "goals.go", "hunt.go", "interval.go",
		"need.go", "nodes.go", "race.go", "ranking.go", "score.go", "search.go", "stand.go", "trial.go", "verify.go",
		"within.go", "zero.go",
	}},
	{"tuner/cost", nil},
}

// choiceOptions are how the tests of a room are run.
type choiceOptions struct {
	workers int  // mutants at a time
	quick   bool // leave out the tests that take longest
	verbose bool // print the survivors after each set of tests
}

// chosen mutates each room's files, and prints the survivors with their explanations and
// how many mutants of each file were killed. It returns an error if that is less than 90 %
// of a file, or if a survivor has no explanation. If files is not nil, only the files that
// it matches are mutated. keep is the file with the explanations.
func chosen(files *regexp.Regexp, keep string, o choiceOptions) error {
	known, err := explained(keep)
	if err != nil {
		return err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil { // imports are resolved by the go.mod of this folder
		return err
	}
	var all []tallied
	for _, room := range rooms {
		names := room.files
		if names == nil {
			if names, err = sources(filepath.Join(root, room.dir)); err != nil {
				return err
			}
		}
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return files != nil && !files.MatchString(room.dir+"/"+name)
		})
		if len(names) == 0 {
			continue
		}
		counts, err := roomOf(root, room.dir, names, known, o)
		if err != nil {
			return fmt.Errorf("%s: %w", room.dir, err)
		}
		all = append(all, counts...)
	}
	if files == nil {
		for key := range known {
			fmt.Printf("listed as a survivor, but killed or gone: %s\n", key)
		}
	}
	return verdict(all)
}

// tallied counts one file's mutants.
type tallied struct {
	file                       string
	mutants, killed, explained int // explained: survivors with an explanation
}

func (t tallied) share() float64 { return float64(t.killed) / float64(max(1, t.mutants)) }

// verdict prints the table. It returns an error that says what is wrong, if anything.
func verdict(all []tallied) error {
	sum := tallied{file: "all"}
	var bad []string
	for _, t := range all {
		sum.mutants, sum.killed, sum.explained = sum.mutants+t.mutants, sum.killed+t.killed, sum.explained+t.explained
		if t.mutants > 0 && t.share() < 0.9 {
			bad = append(bad, t.file)
		}
	}
	fmt.Printf("%-24s %8s %7s %7s %10s %12s\n", "file", "mutants", "killed", "share", "explained", "unexplained")
	for _, t := range append(all, sum) {
		fmt.Printf("%-24s %8d %7d %5.1f %% %10d %12d\n", t.file, t.mutants, t.killed, 100*t.share(), t.explained,
			t.mutants-t.killed-t.explained)
	}
	switch open := sum.mutants - sum.killed - sum.explained; {
	case len(bad) > 0:
		return fmt.Errorf("fewer than 90 %% killed in %v", bad)
	case open > 0:
		return fmt.Errorf("%d survivors without an explanation", open)
	}
	return nil
}

// roomOf mutates files of one folder. It removes the survivors that it finds from known.
func roomOf(root, room string, names []string, known map[string]string, o choiceOptions) ([]tallied, error) {
	dir := filepath.Join(root, room)
	files, mutants, err := rewrite(dir, names)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	over, err := overlaid(tmp, files)
	if err != nil {
		return nil, err
	}
	k := &killer{name: room, dir: dir, bin: filepath.Join(tmp, "room.test"), short: true, limit: time.Hour}
	build := exec.Command("go", "test", "-c", "-overlay", over, "-o", k.bin, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	ok, out := k.run(0, "-test.v")
	if !ok {
		return nil, fmt.Errorf("fails without a mutant:\n%s", out)
	}
	tiers, whole := byTime(out)
	dead, left := map[int]bool{}, mutants
	for i, tests := range tiers {
		k.cpu = 10 * time.Second
		if last := i > 0 && i == len(tiers)-1; last && o.quick {
			break
		} else if last { // the slowest tests; mutants with an explanation need not run them
			k.cpu = max(time.Minute, 4*whole)
			left = slices.DeleteFunc(slices.Clone(left), func(m *mutant) bool { return known[m.key()] != "" })
		}
		fmt.Printf("%s: running %d tests on each of %d mutants\n", room, len(tests), len(left))
		maps.Copy(dead, k.kill(left, o.workers, "-test.run", "^("+strings.Join(tests, "|")+")$"))
		left = slices.DeleteFunc(slices.Clone(left), func(m *mutant) bool { return dead[m.id] })
		for _, m := range left {
			if o.verbose && known[m.key()] == "" {
				fmt.Printf("  survives: %d %s:%d %s\n", m.id, m.file, m.line, m.key())
			}
		}
	}
	counts := make([]tallied, len(names))
	for i, name := range names {
		counts[i].file = room + "/" + name
		for _, m := range mutants {
			if m.file != name {
				continue
			}
			why := known[m.key()]
			counts[i].mutants++
			switch {
			case dead[m.id]:
				counts[i].killed++
				continue // if it is listed, its key stays in known and is reported
			case why != "":
				counts[i].explained++
				fmt.Printf("survives: %s:%d %s\n    %s\n", m.file, m.line, m.key(), why)
			default:
				fmt.Printf("survives, unexplained: %d %s:%d %s\n", m.id, m.file, m.line, m.key())
			}
			delete(known, m.key())
		}
	}
	return counts, nil
}

// byTime reads the output of -test.v. It groups the tests by the time that they took: at
// most a thousandth of the total, at most a fiftieth, and the others. It also returns the
// total.
func byTime(out string) (tiers [][]string, whole time.Duration) {
	took := map[string]float64{}
	sum := 0.0
	for _, m := range regexp.MustCompile(`(?m)^--- PASS: (\w+) \((\S+)s\)$`).FindAllStringSubmatch(out, -1) {
		took[m[1]], _ = strconv.ParseFloat(m[2], 64)
		sum += took[m[1]]
	}
	for _, most := range []float64{sum / 1000, sum / 50, sum} {
		var tier []string
		for _, name := range slices.Sorted(maps.Keys(took)) {
			if took[name] <= most {
				tier = append(tier, name)
				delete(took, name)
			}
		}
		if len(tier) > 0 {
			tiers = append(tiers, tier)
		}
	}
	return tiers, time.Duration(sum * float64(time.Second))
}

// sources returns the names of the folder's Go files, without tests.
func sources(dir string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range found {
		if ok, _ := filepath.Match("*_test.go", filepath.Base(f)); !ok {
			names = append(names, filepath.Base(f))
		}
	}
	return names, nil
}

// overlaid writes the rewritten files, and the overlay that replaces the package's own
// files with them.
func overlaid(tmp string, files map[string][]byte) (string, error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, src := range files {
		to := filepath.Join(tmp, filepath.Base(name))
		if err := os.WriteFile(to, src, 0o644); err != nil {
			return "", err
		}
		overlay.Replace[name] = to
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	over := filepath.Join(tmp, "overlay.json")
	return over, os.WriteFile(over, b, 0o644)
}
