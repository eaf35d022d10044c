package store

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/hpatune/hpatune/results"
)

const (
	// sortWindow limits the memory of a compaction: rows are sorted within this many. A
	// request that took so long that more arrivals ended before it comes later in the file;
	// readers sort.
	sortWindow = 1 << 14
	// groupRows is the size at which a row group is written, and its memory freed.
	groupRows = 1 << 14
)

// compact merges the parts of each folder into one file.
func (w *Writer) compact() error {
	byArrival := func(a, b results.Request) int { return cmp.Compare(a.Arrival, b.Arrival) }
	byTime := func(a, b results.Sample) int { return cmp.Compare(a.At, b.At) }
	if err := compactDir(w, requestsDir, newEncoder(requestColumns, requestSchema, w.tables), byArrival); err != nil {
		return err
	}
	return compactDir(w, samplesDir, newEncoder(sampleColumns, sampleSchema, w.tables), byTime)
}

func compactDir[T any](w *Writer, dir string, e *encoder[T], order func(a, b T) int) error {
	entries, err := os.ReadDir(filepath.Join(w.dir, dir))
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !isPart(e) })
	if len(entries) == 0 && dir != requestsDir {
		return nil // no samples, no file; requests always has one, with its columns
	}
	err = w.writeWith(dir+"/"+compactName, true, func(f io.Writer) error {
		out := bufio.NewWriterSize(f, 1<<16)
		e.open(out)
		if err := e.merge(filepath.Join(w.dir, dir), entries, order); err != nil {
			return err
		}
		return cmp.Or(e.w.Close(), out.Flush())
	})
	if err != nil {
		return err
	}
	// The folder's own entry, before what it replaces goes.
	if d, err := os.Open(filepath.Join(w.dir, dir)); err == nil {
		_ = d.Sync() // not every file system can
		d.Close()
	}
	for _, part := range entries {
		if err := os.Remove(filepath.Join(w.dir, dir, part.Name())); err != nil {
			return fmt.Errorf("run folder: %w", err)
		}
	}
	return nil
}

// merge appends the rows of the parts, sorted within sortWindow.
func (e *encoder[T]) merge(dir string, parts []os.DirEntry, order func(a, b T) int) error {
	var rows []T
	group := 0
	put := func(n int) error {
		for n > 0 {
			k := min(n, groupRows-group)
			if err := e.append(rows[:k]); err != nil {
				return err
			}
			rows = rows[:copy(rows, rows[k:])]
			n -= k
			if group += k; group == groupRows {
				if err := e.w.Flush(); err != nil {
					return err
				}
				group = 0
			}
		}
		return nil
	}
	for _, part := range parts {
		data, err := os.ReadFile(filepath.Join(dir, part.Name()))
		if err != nil {
			return err
		}
		if rows, err = decode(rows, data, e.cols, e.tables); err != nil {
			return fmt.Errorf("%s: %w", part.Name(), err)
		}
		if len(rows) >= 2*sortWindow {
			slices.SortStableFunc(rows, order)
			if err := put(len(rows) - sortWindow); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(rows, order)
	return put(len(rows))
}
