package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Open reads the folder of a run that ended, failed, was killed, or is still active.
// Damaged parts (the last part of a killed run, a torn line) are skipped with a Warning,
// and the run is then partial. It fails if there is no run at all: no readable meta.json.
func Open(fsys fs.FS) (*results.Run, error) {
	data, err := fs.ReadFile(fsys, metaName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no %s in it, so it is not a run folder; try a folder that hpatune run has written", metaName)
	} else if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	run := &results.Run{}
	if err := json.Unmarshal(data, &run.Meta); err != nil {
		return nil, fmt.Errorf("run folder: %s: %w", metaName, err)
	}
	if run.Meta.Schema != results.Schema {
		return nil, fmt.Errorf("run folder: %s: schema %q; this version reads %q", metaName, run.Meta.Schema, results.Schema)
	}
	if run.Profile, err = fs.ReadFile(fsys, profileName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	t := newTables(run.Meta)
	for _, read := range []func(fs.FS, *results.Run, *tables) error{readCluster, readRecords, readRequests, readSamples} {
		if err := read(fsys, run, t); err != nil {
			return nil, fmt.Errorf("run folder: %w", err)
		}
	}
	t.into(&run.Meta)
	if run.Meta.DurationS == 0 {
		run.Meta.DurationS = lastSeen(run).Seconds()
	}
	if run.Meta.Partial && run.Meta.Why == "" {
		run.Meta.Why = "it did not end: killed, or still running"
	}
	return run, nil
}

func doubt(run *results.Run, id results.WarningID, format string, args ...any) {
	w := results.Warning{ID: id, Text: fmt.Sprintf(format, args...)}
	if !run.Meta.Partial { // it ended, and its folder was damaged since
		run.Meta.Partial, run.Meta.Why = true, w.Text
	}
	run.Warnings = append(run.Warnings, w)
}

func readCluster(fsys fs.FS, run *results.Run, _ *tables) error {
	entries, err := fs.ReadDir(fsys, clusterDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) == tempSuffix {
			continue
		}
		data, err := fs.ReadFile(fsys, path.Join(clusterDir, e.Name()))
		if err != nil {
			return err
		}
		if run.Cluster == nil {
			run.Cluster = map[string][]byte{}
		}
		run.Cluster[e.Name()] = data
	}
	return nil
}

func readRecords(fsys fs.FS, run *results.Run, t *tables) error {
	data, err := fs.ReadFile(fsys, recordsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	n, bad := 0, 0
	var first error
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := readLine(line, run, t); err != nil {
			bad++
			first = cmp.Or(first, fmt.Errorf("%s:%d: %w", recordsName, n, err))
		}
	}
	if bad > 0 {
		lines := "lines"
		if bad == 1 {
			lines = "line"
		}
		doubt(run, results.WarnTornRecord, "%d unreadable %s left out, the first %v", bad, lines, first)
	}
	// Sources write concurrently; each list is sorted again here.
	slices.SortStableFunc(run.Pods, func(a, b results.Pod) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Syncs, func(a, b results.Sync) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Endpoints, func(a, b results.Endpoints) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Events, func(a, b results.Event) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(run.Gaps, func(a, b results.Gap) int { return cmp.Compare(a.From, b.From) })
	return nil
}

func readRequests(fsys fs.FS, run *results.Run, t *tables) (err error) {
	if run.Requests, err = readParts(fsys, requestsDir, requestColumns, run, t); err != nil {
		return err
	}
	slices.SortStableFunc(run.Requests, func(a, b results.Request) int { return cmp.Compare(a.Arrival, b.Arrival) })
	return nil
}

func readSamples(fsys fs.FS, run *results.Run, t *tables) (err error) {
	if run.Samples, err = readParts(fsys, samplesDir, sampleColumns, run, t); err != nil {
		return err
	}
	slices.SortStableFunc(run.Samples, func(a, b results.Sample) int { return cmp.Compare(a.At, b.At) })
	return nil
}

func readParts[T any](fsys fs.FS, dir string, cols []column[T], run *results.Run, t *tables) ([]T, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !isPart(e) })
	// Killed between the compaction's rename and the removal of its parts.
	if i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == compactName }); i >= 0 {
		entries = entries[i : i+1]
	}
	var rows []T
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		data, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			return readParts(fsys, dir, cols, run, t) // compacted while we read
		} else if err != nil {
			return nil, err
		}
		if rows, err = decode(rows, data, cols, t); err != nil {
			doubt(run, results.WarnTornPart, "%s left out, since it is damaged (%v)", name, err)
		}
	}
	return rows, nil
}

// lastSeen is the latest time in any record: how long a killed run demonstrably ran.
func lastSeen(run *results.Run) (last time.Duration) {
	for _, r := range run.Requests {
		last = max(last, r.Scheduled, r.Sent, r.Done)
	}
	for _, s := range run.Samples {
		last = max(last, s.At)
	}
	for _, p := range run.Pods {
		last = max(last, p.At)
	}
	for _, s := range run.Syncs {
		last = max(last, s.At)
	}
	return last
}
