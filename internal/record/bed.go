package record

import (
	"context"
	"time"

	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/results"
)

// Bed is where a run takes place. Record calls Prepare, Open and PutBack once
// each, in this order; PutBack on every exit, also where Prepare failed midway.
type Bed interface {
	// Prepare makes ready what takes time before the run's start can be set, and
	// changes what the run needs changed.
	Prepare(ctx context.Context, p *Plan) (Timing, error)
	// Open completes the session's meta by what is loaded, and says what to call,
	// what to watch and how to send.
	Open(s *Session) (Scene, error)
	// PutBack undoes what Prepare did, with a context that has not ended. Its
	// error says what is left, and what to do about it.
	PutBack(ctx context.Context, p *Plan) error
}

// Timing is how a bed's time runs.
type Timing struct {
	Lead  time.Duration // between Open and the first arrival
	Speed float64       // world seconds a wall second; 1 but in a sandbox
}

// Session is a run that is being recorded, as its bed needs to know it.
type Session struct {
	Plan  *Plan
	Clock results.Clock
	Meta  *results.Meta

	// From the first call of Watch or Send on:
	File func(name string, data []byte) // keeps an object verbatim in the run's cluster folder
	Pace func()                         // holds whoever emits until the log has caught up
}

// Scene is an open bed.
type Scene struct {
	URL   string            // where the load goes
	Files map[string][]byte // objects as they are, for the run's cluster folder

	// Watch emits what there is to see until ctx is done; nil = nothing can be
	// seen. Its error ends the run.
	Watch func(ctx context.Context, emit results.Emit) error
	// Answered is told every record; nil = nobody is interested.
	Answered func(results.Record)
	// Send sends the load; nil = this process does.
	Send func(context.Context, *Session, loadgen.Options) (loadgen.Report, error)
	// Counts says that the bed counts what reaches it by itself.
	Counts bool
	// Conclude completes the meta when all is over; sent is how many requests
	// left. nil = nothing to add.
	Conclude func(m *results.Meta, sent int64)
	// Quiet says that nothing is known of the load until it is over.
	Quiet bool
}

// lead is how long after its preparation a run starts, so that everything is in
// place when the first arrival is due.
const lead = 300 * time.Millisecond

// Endpoint is the bed of run --url: something that is up, of whose pods nothing
// is seen.
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
