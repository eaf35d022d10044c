package record

import (
	"context"
	"time"

	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/results"
)

// Bed is where a run takes place. Record calls Prepare, Open and PutBack once each, in this
// order. It calls PutBack on every exit, even if Prepare failed halfway.
type Bed interface {
	// Prepare does what takes time before the run's start can be set, and makes the changes
	// that the run needs.
	Prepare(ctx context.Context, p *Plan) (Timing, error)
	// Open completes the session's meta with what is loaded, and returns what to call, what
	// to watch and how to send.
	Open(s *Session) (Scene, error)
	// PutBack reverts what Prepare did, with a context that has not ended. Its error says
	// what is left, and what to do about it.
	PutBack(ctx context.Context, p *Plan) error
}

// Timing is how time passes on a bed.
type Timing struct {
	Lead  time.Duration // between Open and the first arrival
	Speed float64       // world seconds a wall second; 1 but in a sandbox
}

// Session is the part of a run being recorded that its bed needs.
type Session struct {
	Plan  *Plan
	Clock results.Clock
	Meta  *results.Meta

	// From the first call of Watch or Send on:
	File func(name string, data []byte) // keeps an object verbatim in the run's cluster folder
	Pace func()                         // blocks emitters until the log has caught up
}

// Scene is an open bed.
type Scene struct {
	URL   string            // where the load goes
	Files map[string][]byte // objects as they are, for the run's cluster folder

	// Watch emits what it observes until ctx is done; nil = nothing can be observed. Its
	// error ends the run.
	Watch func(ctx context.Context, emit results.Emit) error
	// Answered is called with every record; nil = not.
	Answered func(results.Record)
	// Send sends the load; nil = this process does.
	Send func(context.Context, *Session, loadgen.Options) (loadgen.Report, error)
	// Counts means that the bed counts the requests that reach it.
	Counts bool
	// Conclude completes the meta at the end; sent is the number of requests that were
	// sent. nil = nothing to add.
	Conclude func(m *results.Meta, sent int64)
	// Quiet means that nothing is known about the load until the end.
	Quiet bool
}

// lead is how long after its preparation a run starts, so that everything is ready when the
// first arrival is due.
const lead = 300 * time.Millisecond

// Endpoint is the bed of run --url: a running server whose pods are not observed.
type Endpoint struct{ URL string }

// Prepare has nothing to do.
func (e Endpoint) Prepare(context.Context, *Plan) (Timing, error) { return Timing{lead, 1}, nil }

// Open says where the load goes.
func (e Endpoint) Open(s *Session) (Scene, error) {
	s.Meta.Target.Kind, s.Meta.Target.URL = "url", RedactURL(e.URL)
	return Scene{URL: e.URL}, nil
}

// PutBack has nothing to put back.
func (e Endpoint) PutBack(context.Context, *Plan) error { return nil }
