// Package store writes the run folder while a run happens, and reads it back,
// also if the run is partial or was killed. results/FORMAT.md describes the files.
//
//	meta.json                 what the run was; rewritten once, at its end
//	profile.yaml              as used
//	requests/part-*.parquet   one row per arrival
//	samples/part-*.parquet    one row per value
//	records.jsonl             everything else, one record per line
//	cluster/                  observed objects, verbatim
//
// While a run goes on, rows are written in parts of at most partEvery; Close
// compacts them into one file per folder. Every file except records.jsonl appears
// under its name complete (temporary name + rename), so a killed run loses what
// had not been written yet, less than two seconds, and nothing else. There is
// no fsync before Close: it would guard against a power cut, not against a
// kill.
package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/results"
)

const (
	metaName    = "meta.json"
	profileName = "profile.yaml"
	recordsName = "records.jsonl"
	requestsDir = "requests"
	samplesDir  = "samples"
	clusterDir  = "cluster"

	// compactName contains a folder's rows after the run has ended. It sorts and globs like
	// a part; if it exists, the numbered parts next to it are leftovers.
	compactName = "part-all.parquet"

	tempSuffix = ".tmp"
)

const (
	partEvery  = 1500 * time.Millisecond // a kill loses less than 2 s, writing included
	maxBacklog = 32 << 20                // bytes in memory; DESIGN.md 2
	wakeAt     = 1 << 20                 // write early rather than in one long stroke
)

// ErrBacklog ends a run whose disk is slower than its records.
var ErrBacklog = errors.New("run log: more than 32 MB wait to be written: the disk is too slow for this run")

// Free reports why a run cannot be recorded in dir: it must not exist or be empty.
func Free(dir string) error {
	found, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("run folder: %w", err)
	case len(found) > 0:
		return fmt.Errorf("run folder %s: not empty (it holds %s); try --out with a new name", dir, found[0].Name())
	}
	return nil
}

// Create starts a run folder in dir, which must not exist or be empty, and
// returns the Writer that owns it. meta is written with Partial set, until
// Close says otherwise. An empty meta.Run becomes the folder's name. What is
// or may be a secret (internal/secrets: tokens, unknown headers, who logs in to a URL) is struck
// out of everything that is written.
func Create(dir string, meta results.Meta, profile []byte) (*Writer, error) {
	if err := Free(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	profile, err := secrets.Profile(profile)
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	meta = clean(meta)
	meta.Run = cmp.Or(meta.Run, filepath.Base(dir))
	meta.Schema = results.Schema
	meta.Partial = true
	w := &Writer{
		dir: dir, meta: meta,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}), failed: make(chan struct{}),
		tables: newTables(meta),
	}
	for _, sub := range []string{requestsDir, samplesDir} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("run folder: %w", err)
		}
	}
	if err := w.writeFile(profileName, profile); err != nil {
		return nil, err
	}
	if err := w.writeMeta(meta); err != nil {
		return nil, err
	}
	if w.records, err = os.OpenFile(
		filepath.Join(dir, recordsName),
		os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND,
		0o644,
	); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	go w.loop()
	return w, nil
}

func (w *Writer) writeMeta(meta results.Meta) error {
	data, err := json.MarshalIndent(meta, "", "  ")
	if err != nil {
		return fmt.Errorf("run folder: %s: %w", metaName, err)
	}
	return w.writeFile(metaName, append(data, '\n'))
}

// writeFile makes a file appear under its name completely or not at all.
func (w *Writer) writeFile(name string, data []byte) error {
	return w.writeWith(name, false, func(f io.Writer) error {
		_, err := f.Write(data)
		return err
	})
}

// writeWith makes a file that fill writes appear under its name completely or not at all;
// sync also makes it survive a power cut.
func (w *Writer) writeWith(name string, sync bool, fill func(io.Writer) error) error {
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	f, err := os.Create(path + tempSuffix)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	err = fill(f)
	if err == nil && sync {
		err = f.Sync()
	}
	err = cmp.Or(err, f.Close())
	if err == nil {
		err = os.Rename(path+tempSuffix, path)
	}
	if err != nil {
		_ = os.Remove(path + tempSuffix) // best effort: Open ignores it
		return fmt.Errorf("run folder: %s: %w", name, err)
	}
	return nil
}

// isPart reports whether a folder entry is a part: not a temporary file, not a
// stranger's.
func isPart(e fs.DirEntry) bool {
	return !e.IsDir() && filepath.Ext(e.Name()) == ".parquet"
}
