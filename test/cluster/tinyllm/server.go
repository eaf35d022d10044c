// Package tinyllm is a small language-model server that does real work: a
// llama2-shaped transformer with seeded random weights, continuous batching
// over a fixed number of slots, OpenAI's completions and chat completions with
// streaming, and vLLM's metrics. The text is nonsense; the compute, queueing,
// streaming, back-pressure and cold start are real.
//
// It is the payload of the test cluster, and the endpoint that other tests
// load on loopback:
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

// Options say how a Server behaves. The zero value of a field means the
// default that its comment names, except where zero is said to be a value.
type Options struct {
	Model     Config        // the transformer; zero: DefaultConfig()
	Name      string        // the only model name that requests may ask for; "" takes any
	Slots     int           // sequences in a batch; zero: 4
	Queue     int           // requests that may wait beyond the slots before 429; negative: none, zero: 256
	LoadDelay time.Duration // from start to ready, as a model download would take; zero: none
	LoadCPU   time.Duration // CPU time that loading burns after LoadDelay, as weight loading and warm-up do; zero: none
	Host      string        // sent as the header X-Served-By, when not empty
}

// Server answers OpenAI-style requests. Make one with NewServer, call Run, and
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

// NewServer makes a server; the model's weights are drawn here. It answers
// /health and /metrics at once, but is not ready until Run has loaded it.
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

// Run loads the model, then steps the engine until ctx ends. Requests still
// inside then end unfinished: drain the HTTP server first.
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

// Drain makes /ready answer 503 from now on; requests are still served, since
// the endpoints' news of it reaches the proxies only after a while.
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
// /health (the process lives), /ready (the model is loaded) and /metrics.
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

// cpuTime returns the CPU time, user and system, of this process so far.
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
	_ = json.NewEncoder(w).Encode(v) // a reader who left is no fault of the server
}

// fail answers in OpenAI's error shape.
func fail(w http.ResponseWriter, status int, kind, format string, args ...any) {
	writeJSON(w, status, map[string]any{"error": map[string]any{
		"message": fmt.Sprintf(format, args...), "type": kind, "code": status}})
}
