// Package tinyllm is a small language-model server that does real work. It has a
// transformer of llama2's shape with random weights from a seed, continuous batching
// over a fixed number of slots, OpenAI's completions and chat completions with
// streaming, and vLLM's metrics. The text is nonsense, but the computing, queueing,
// streaming, back-pressure and cold start are real.
//
// It is the payload of the test cluster. Other tests send load to it on loopback:
//
//	go -C test/cluster run ./cmd/tinyllm -addr 127.0.0.1:8000
package tinyllm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

// Options are the options of a Server. The zero value of a field means what its
// comment says.
type Options struct {
	Model     Config        // the transformer; zero means DefaultConfig()
	Name      string        // the only model name that requests may use; "" allows any
	Slots     int           // sequences in a batch; zero means 4
	Queue     int           // requests that may wait for a slot; others get 429; negative means none, zero 256
	LoadDelay time.Duration // from start to ready, as a model download would take; zero means none
	LoadCPU   time.Duration // CPU time of loading, after LoadDelay, as for weights and warm-up; zero means none
	Host      string        // sent as the header X-Served-By, unless empty
}

// Server answers requests of OpenAI's API. Create one with NewServer, call Run, and
// serve it as an http.Handler.
type Server struct {
	opts  Options
	mux   *http.ServeMux
	m     *metrics
	e     *engine
	ready atomic.Bool
	drain atomic.Bool
	ids   atomic.Int64
}

// NewServer returns a server, with the model's weights. It answers /health and
// /metrics at once, but is not ready until Run has loaded the model.
func NewServer(o Options) (*Server, error) {
	if o.Model == (Config{}) {
		o.Model = DefaultConfig()
	}
	if o.Slots == 0 {
		o.Slots = 4
	}
	if o.Slots < 0 {
		return nil, fmt.Errorf("slots %d: must be positive", o.Slots)
	}
	switch {
	case o.Queue == 0:
		o.Queue = 256
	case o.Queue < 0:
		o.Queue = 0
	}
	model, err := New(o.Model)
	if err != nil {
		return nil, err
	}
	label := o.Name
	if label == "" {
		label = "tiny"
	}
	s := &Server{opts: o, mux: http.NewServeMux(), m: newMetrics(label)}
	s.e = newEngine(model, o.Slots, o.Queue, s.m)
	s.mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	s.mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if why := s.notReady(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
		}
	})
	s.mux.Handle("GET /metrics", s.m.handler())
	s.mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": []any{map[string]any{
			"id": label, "object": "model", "owned_by": "tinyllm", "max_model_len": model.Context}}})
	})
	s.mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) { s.complete(w, r, false) })
	s.mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) { s.complete(w, r, true) })
	return s, nil
}

// Run loads the model, and then runs the engine until ctx ends. Requests that are
// running then end unfinished, so drain the HTTP server first.
func (s *Server) Run(ctx context.Context) {
	select {
	case <-time.After(s.opts.LoadDelay):
	case <-ctx.Done():
		return
	}
	warmUp(ctx, s.e.model, s.opts.LoadCPU)
	s.ready.Store(true)
	s.e.run(ctx)
}

// Drain makes /ready answer 503 from now on. Requests are still served, because it
// takes a while until the proxies know that this endpoint is gone.
func (s *Server) Drain() { s.drain.Store(true) }

func (s *Server) notReady() string {
	switch {
	case s.drain.Load():
		return "draining"
	case !s.ready.Load():
		return "model is loading"
	}
	return ""
}

// ServeHTTP serves /v1/completions, /v1/chat/completions, /v1/models,
// /health (the process is running), /ready (the model is loaded) and /metrics.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.opts.Host != "" {
		w.Header().Set("X-Served-By", s.opts.Host)
	}
	s.mux.ServeHTTP(w, r)
}

// warmUp runs the model until this process has used d of CPU time.
func warmUp(ctx context.Context, m *Model, d time.Duration) {
	for end := cpuTime() + d; cpuTime() < end && ctx.Err() == nil; {
		seq := m.NewSequence()
		for range min(32, m.Context) {
			seq.Forward(1, true)
		}
	}
}

// cpuTime returns the CPU time, user and system, that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the reader has disconnected
}

// fail answers with an error in OpenAI's format.
func fail(w http.ResponseWriter, status int, kind, format string, args ...any) {
	writeJSON(w, status, map[string]any{"error": map[string]any{
		"message": fmt.Sprintf(format, args...), "type": kind, "code": status}})
}
