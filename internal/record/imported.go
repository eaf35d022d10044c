package record

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/logs"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/results"
)

// Import makes a run of logs that others wrote, in the folder out (see Dir), which it
// returns. It prints what it read and what it skipped. For a file that is not such a log
// the error is of kind failure.Input.
func Import(
	files []string,
	o logs.Options,
	out string,
	objectives []string,
	version string,
	say func(text string),
) (dir string, err error) {
	var all []logs.Log
	for i, file := range files {
		if slices.ContainsFunc(files[:i], func(f string) bool { return sameFile(f, file) }) {
			return "", failure.Inputf("%s was given twice; its requests would be counted twice", file)
		}
		l, err := readLog(file, o)
		if err != nil {
			return "", failure.As(failure.Input, err)
		}
		all = append(all, l)
		say(l.Summary())
		for i, b := range l.Bad {
			if i == 5 {
				say(fmt.Sprintf("  … and %d more", len(l.Bad)-i))
				break
			}
			say(fmt.Sprintf("  skipped: %s", b))
		}
		for _, w := range l.Warnings {
			say("warning: " + w)
		}
	}
	name := strings.TrimSuffix(filepath.Base(files[0]), ".gz")
	name = strings.TrimSuffix(name, filepath.Ext(name))
	if dir, err = Dir(out, cmp.Or(name, "log")); err != nil {
		return "", err
	}
	meta, requests, samples := logs.Run(name, all)
	meta.Run, meta.Version, meta.Objectives = filepath.Base(dir), version, objectives
	log, err := store.Create(dir, meta, []byte("# imported from "+strings.Join(files, ", ")+"\n"))
	if err != nil {
		return "", err
	}
	for i := range requests {
		if i%4096 == 0 {
			log.Pace()
		}
		log.Emit(requests[i])
		if i < len(samples) {
			log.Emit(samples[i])
		}
	}
	for _, l := range all {
		if len(l.Bad) > 0 {
			log.Emit(
				results.Warning{ID: results.WarnLogLines, Text: fmt.Sprintf("%d of %d lines of %s are not requests and were "+
					"skipped; the first: line %d: %s",
					len(l.Bad), len(l.Bad)+len(l.Entries), l.Name, l.Bad[0].Line, l.Bad[0].Text)},
			)
		}
		for _, w := range l.Warnings {
			log.Emit(results.Warning{ID: results.WarnLogDoubt, Text: w})
		}
	}
	return dir, log.Close(meta)
}

// sameFile reports whether two paths are of one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, other := os.Stat(b)
	return err == nil && other == nil && os.SameFile(x, y)
}

func readLog(file string, o logs.Options) (logs.Log, error) {
	f, err := os.Open(file)
	if err != nil {
		return logs.Log{}, err
	}
	defer func() { _ = f.Close() }() // read only
	return logs.Read(f, file, o)
}
