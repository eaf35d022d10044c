package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unsafe"

	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/results"
)

// A Writer owns a run folder during its run. Emit, File, Failed and Err can be called from
// any goroutine; Close ends it.
type Writer struct {
	dir  string
	meta results.Meta

	wake, stop, stopped, failed chan struct{}

	mu      sync.Mutex
	pending batch
	bytes   int   // of pending, about
	lost    int   // records that came or were pending after the log had failed
	err     error // why the log failed
	closed  bool

	// Owned by the loop, and by Close after it.
	spare   batch
	tables  *tables
	parts   int
	records *os.File
	req     *encoder[results.Request]
	smp     *encoder[results.Sample]
}

// batch is what was emitted since the last write.
type batch struct {
	requests []results.Request
	samples  []results.Sample
	others   []results.Record
}

func (b batch) len() int { return len(b.requests) + len(b.samples) + len(b.others) }

func (b *batch) reset() {
	clear(b.samples) // let the strings go
	clear(b.others)
	b.requests, b.samples, b.others = b.requests[:0], b.samples[:0], b.others[:0]
}

// otherBytes is the size of a record that is not a row in the backlog: a sync with a dozen
// pods.
const otherBytes = 4 << 10

// Emit adds a record; it is a results.Emit. It appends to memory and never waits for the
// disk. After Close it does nothing.
func (w *Writer) Emit(r results.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.err != nil {
		w.lost++
		return
	}
	switch r := r.(type) {
	case results.Request:
		w.pending.requests = append(w.pending.requests, r)
		w.bytes += int(unsafe.Sizeof(r))
	case results.Sample:
		w.pending.samples = append(w.pending.samples, r)
		w.bytes += int(unsafe.Sizeof(r))
	default:
		w.pending.others = append(w.pending.others, r)
		w.bytes += otherBytes
	}
	if w.bytes > maxBacklog {
		w.failLocked(ErrBacklog)
	}
	if w.bytes > wakeAt {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// File stores an observed object as cluster/name, verbatim; a second one of
// that name replaces the first.
func (w *Writer) File(name string, data []byte) error {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return fmt.Errorf("run folder: %q is not a file name", name)
	}
	if err := os.MkdirAll(filepath.Join(w.dir, clusterDir), 0o755); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return w.writeFile(clusterDir+"/"+name, data)
}

// Pace waits until the log has room again, or has failed. It is for callers that have all
// records at once, such as a merge of runs; an active run must not wait.
func (w *Writer) Pace() {
	for {
		w.mu.Lock()
		behind := w.bytes > maxBacklog/4 && w.err == nil && !w.closed
		w.mu.Unlock()
		if !behind {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Dir returns the folder.
func (w *Writer) Dir() string { return w.dir }

// Failed is closed when the log has failed; the run should then end.
func (w *Writer) Failed() <-chan struct{} { return w.failed }

// Err returns why the log failed, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(err)
}

func (w *Writer) failLocked(err error) {
	if w.err == nil {
		w.err = err
		close(w.failed)
	}
}

func (w *Writer) loop() {
	defer close(w.stopped)
	tick := time.NewTicker(partEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			w.flush()
			return
		case <-tick.C:
		case <-w.wake:
		}
		w.flush()
	}
}

// flush writes what is pending: one part of requests, one of samples, and the
// lines of the rest.
func (w *Writer) flush() {
	w.mu.Lock()
	b := w.pending
	w.pending, w.bytes = w.spare, 0
	w.mu.Unlock()
	if b.len() > 0 {
		if err := w.write(b); err != nil {
			w.mu.Lock()
			w.lost += b.len() // at most: what was written of it is kept
			w.mu.Unlock()
			w.fail(err)
		}
	}
	b.reset()
	w.spare = b
}

func (w *Writer) write(b batch) error {
	// The names first: the rows of this batch use them.
	var lines bytes.Buffer
	for _, r := range b.others {
		if n, ok := r.(results.Name); ok {
			n.Text = secrets.Message(n.Text)
			w.tables.name(n)
		}
		if err := writeLine(&lines, r); err != nil {
			return fmt.Errorf("run folder: %s: %w", recordsName, err)
		}
	}
	if lines.Len() > 0 {
		if _, err := w.records.Write(lines.Bytes()); err != nil {
			return fmt.Errorf("run folder: %w", err)
		}
	}
	if len(b.requests) == 0 && len(b.samples) == 0 {
		return nil
	}
	w.parts++
	if len(b.requests) > 0 {
		if w.req == nil {
			w.req = newEncoder(requestColumns, requestSchema, w.tables)
		}
		if err := w.writeFile(partName(requestsDir, w.parts), w.req.bytes(b.requests)); err != nil {
			return err
		}
	}
	if len(b.samples) > 0 {
		if w.smp == nil {
			w.smp = newEncoder(sampleColumns, sampleSchema, w.tables)
		}
		if err := w.writeFile(partName(samplesDir, w.parts), w.smp.bytes(b.samples)); err != nil {
			return err
		}
	}
	return nil
}

func partName(dir string, n int) string { return fmt.Sprintf("%s/part-%08d.parquet", dir, n) }

// Close writes what is left, compacts the parts and rewrites meta.json with meta: its
// Partial and Why say how the run ended. Tables that meta does not contain come from Name
// records. It returns the error of the log, if it failed: the run is then kept, readable
// and partial.
func (w *Writer) Close(meta results.Meta) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return w.Err()
	}
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	<-w.stopped
	err := w.records.Sync()
	if e := w.records.Close(); err == nil {
		err = e
	}
	if err != nil {
		w.fail(fmt.Errorf("run folder: %w", err))
	}

	meta = clean(meta)
	w.tables.adopt(meta)
	if w.Err() == nil {
		if err := w.compact(); err != nil {
			w.fail(err)
		}
	}
	meta.Schema = results.Schema
	if meta.Run == "" {
		meta.Run = w.meta.Run
	}
	meta.Errors, meta.Backends = w.tables.errors, w.tables.backends
	if err := w.Err(); err != nil {
		meta.Partial = true
		meta.Why = err.Error()
		if w.lost > 0 {
			meta.Why += fmt.Sprintf(" (at most %d records lost)", w.lost)
		}
	}
	if err := w.writeMeta(meta); err != nil {
		w.fail(err) // the meta.json of Create stands, and says partial
	}
	return w.Err()
}
