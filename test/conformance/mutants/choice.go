package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// rooms are how tuner chooses: the files that are mutated, and the tests that are to
// notice. Tests that replay whole runs are left out, since they take seconds.
var rooms = []struct {
	dir   string
	files []string
	tests string
}{
	{
		"tuner",
		[]string{"choose.go", "trial.go", "search.go", "goals.go", "score.go", "interval.go"},
		"^Test(Choose|Alternatives|ShareEnds|Fate|Dearer|Frontier|DistinctOutcomes|Margin|Want|Windows|LimitsOfGoals|MetOnADay|GoalsAreNamed|Tally|Flaps|MaxReplicas|Mins|" +
			"AsCheap|Primary|Rank|Mean|Positive|Round|ASmall|TypicalOfOne|Candidates|Safest|Variants|PolicyPeriod|Distance|LimitsOfTheUser|ARunThatMet|Intervals|WhatTheModelMissed|Off|Doubt)",
	},
	{"tuner/cost", nil, ""},
}

// chosen mutates each room and prints who lives. It ends with an error where fewer
// than 90 % are killed.
func chosen(workers int) error {
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil { // whose go.mod says where imports are
		return err
	}
	all, killed := 0, 0
	for _, room := range rooms {
		dir := filepath.Join(root, room.dir)
		files, mutants, err := rewrite(dir, room.files)
		if err != nil {
			return fmt.Errorf("%s: %w", room.dir, err)
		}
		tmp, err := os.MkdirTemp("", "mutants")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		overlay := struct{ Replace map[string]string }{map[string]string{}}
		for name, src := range files {
			to := filepath.Join(tmp, filepath.Base(name))
			if err := os.WriteFile(to, src, 0o644); err != nil {
				return err
			}
			overlay.Replace[name] = to
		}
		b, err := json.Marshal(overlay)
		if err != nil {
			return err
		}
		over := filepath.Join(tmp, "overlay.json")
		if err := os.WriteFile(over, b, 0o644); err != nil {
			return err
		}
		k := &killer{name: room.dir, dir: dir, bin: filepath.Join(tmp, "room.test"), tests: room.tests, limit: time.Minute}
		build := exec.Command("go", "test", "-c", "-overlay", over, "-o", k.bin, ".")
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", room.dir, err, out)
		}
		begin := time.Now()
		if ok, out := k.run(0); !ok {
			return fmt.Errorf("%s fails without a mutant:\n%s", room.dir, out)
		}
		k.limit = max(15*time.Second, 8*time.Since(begin))
		dead := k.kill(mutants, workers)
		for _, m := range mutants {
			if !dead[m.id] {
				fmt.Printf("lives: %d %s:%d %s\n", m.id, m.file, m.line, m.key())
			}
		}
		fmt.Printf(
			"%s: %d mutants, %d killed (%.1f %%), in %v\n",
			room.dir,
			len(mutants),
			len(dead),
			100*float64(len(dead))/float64(max(1, len(mutants))),
			time.Since(begin).Round(time.Second),
		)
		all, killed = all+len(mutants), killed+len(dead)
	}
	fmt.Printf("%d mutants of how tuner chooses, %d killed (%.1f %%)\n", all, killed, 100*float64(killed)/float64(all))
	if killed*10 < all*9 {
		return fmt.Errorf("%d of %d killed, want 90 %%", killed, all)
	}
	return nil
}
