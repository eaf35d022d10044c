package loadgen

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// sink keeps the requests that a run emits.
type sink struct {
	mu   sync.Mutex
	list []results.Request
}

func (s *sink) emit(r results.Record) {
	if q, ok := r.(results.Request); ok {
		s.mu.Lock()
		s.list = append(s.list, q)
		s.mu.Unlock()
	}
}

// sorted returns the requests by arrival.
func (s *sink) sorted() []results.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.list)
	slices.SortFunc(list, func(a, b results.Request) int { return a.Arrival - b.Arrival })
	return list
}

func (s *sink) count(o results.Outcome) int {
	n := 0
	for _, r := range s.sorted() {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

// constant yields n arrivals, one every gap.
func constant(n int, gap time.Duration) iter.Seq[profiles.Arrival] {
	return func(yield func(profiles.Arrival) bool) {
		for i := range n {
			if !yield(profiles.Arrival{Index: i, At: time.Duration(i) * gap, Prompt: 8, Max: 4}) {
				return
			}
		}
	}
}

// load runs o against a handler and returns its records and report.
func load(t *testing.T, o Options, h http.HandlerFunc) ([]results.Request, Report) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	o.URL = srv.URL
	return loadURL(t, o)
}

func loadURL(t *testing.T, o Options) ([]results.Request, Report) {
	t.Helper()
	if o.Profile == nil {
		o.Profile = plan(profiles.Target{}, short)
	}
	var s sink
	o.Emit = s.emit
	rep, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return s.sorted(), rep
}

// plan is a profile without stages, for tests that bring their own arrivals.
func plan(target profiles.Target, limits profiles.Timeouts) *profiles.Profile {
	return &profiles.Profile{Target: target, Timeouts: limits}
}

var chat = profiles.Target{Protocol: "openai-chat", Model: "m"}

var short = profiles.Timeouts{Connect: time.Second, FirstToken: 5 * time.Second, Idle: 5 * time.Second, Total: 10 * time.Second}

func TestEveryArrivalIsSentOnceWithItsNumber(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	got, rep := load(t, Options{Arrivals: constant(500, time.Millisecond)}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Header.Get(ArrivalHeader)]++
		mu.Unlock()
		if r.Header.Get(seqHeader) != "" {
			t.Errorf("the server saw %s", seqHeader)
		}
		fmt.Fprint(w, "hello")
	})
	if len(got) != 500 || len(seen) != 500 || rep.Requests != 500 {
		t.Fatalf("recorded %d, seen %d, reported %d; want 500", len(got), len(seen), rep.Requests)
	}
	for i, r := range got {
		if r.Arrival != i || r.Outcome != results.OK || r.Code != 200 || r.Err != -1 || r.Backend != -1 {
			t.Fatalf("request %d = %+v", i, r)
		}
		if r.Scheduled != time.Duration(i)*time.Millisecond || r.Sent < r.Scheduled-earlyMore-maxLead || r.Done < r.Sent {
			t.Fatalf("request %d: times %+v", i, r)
		}
	}
	if rep.Client.Connections == 0 || !rep.Client.CPUMeasured && pacerName == "nanosleep" {
		t.Errorf("client = %+v", rep.Client)
	}
}

// sse writes chunks as a server of chat completions does.
func sse(w http.ResponseWriter, chunks ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, c := range chunks {
		fmt.Fprintf(w, "data: %s\n\n", c)
		w.(http.Flusher).Flush()
	}
}

func TestStreamIsMeteredTokenByToken(t *testing.T) {
	got, _ := load(t, Options{
		Arrivals: constant(1, 0), Profile: plan(chat, short),
	}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"model":"m"`) || !strings.Contains(string(body), `"max_tokens":4`) || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s %s", r.URL.Path, body)
		}
		sse(w, `{"choices":[{"delta":{"role":"assistant"}}]}`)
		time.Sleep(30 * time.Millisecond)
		sse(w, `{"choices":[{"delta":{"content":"a"}}]}`)
		time.Sleep(20 * time.Millisecond)
		sse(w, `{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}`,
			`{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7}}`, `[DONE]`)
	})
	r := got[0]
	if r.Outcome != results.OK || r.Tokens != 7 || r.Prompt != 9 || r.TokensFrom != results.TokensUsage {
		t.Fatalf("request = %+v", r)
	}
	if ttft := r.First - r.Sent; ttft < 30*time.Millisecond {
		t.Errorf("first token after %v; the role chunk counted", ttft)
	}
	// The first token may be read late; the last is never read before it was written.
	if r.Last-r.Sent < 50*time.Millisecond || r.GapMax <= 0 || r.Last-r.First != r.GapMax || r.Done < r.Last {
		t.Errorf("times %+v", r)
	}
}

func TestShedArrivalsAreCountedExactly(t *testing.T) {
	release := make(chan struct{})
	var s sink
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	defer srv.Close()
	var once sync.Once
	emit := func(r results.Record) {
		s.emit(r)
		if s.count(results.Shed) == 80 {
			once.Do(func() { close(release) })
		}
	}
	rep, err := Run(t.Context(), Options{Arrivals: constant(100, 0), URL: srv.URL, MaxInFlight: 20, Emit: emit, Profile: plan(profiles.Target{}, short)})
	if err != nil {
		t.Fatal(err)
	}
	if s.count(results.Shed) != 80 || s.count(results.OK) != 20 || rep.Client.MaxInFlight != 20 {
		t.Errorf("shed %d, ok %d, most in flight %d; want 80, 20, 20", s.count(results.Shed), s.count(results.OK), rep.Client.MaxInFlight)
	}
	for _, r := range s.sorted() {
		if r.Outcome == results.Shed && (results.Happened(r.Sent) || rep.Errors[r.Err] != "in-flight cap reached") {
			t.Fatalf("shed arrival %+v, %q", r, rep.Errors)
		}
	}
}

func TestCtrlCEndsStreamsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var s sink
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sse(w, `{"choices":[{"delta":{"content":"a"}}]}`)
		cancel()
		<-r.Context().Done()
	}))
	defer srv.Close()
	began := time.Now()
	_, err := Run(ctx, Options{
		Arrivals: constant(1000, time.Hour), URL: srv.URL, Emit: s.emit, Profile: plan(chat, profiles.Timeouts{}),
	})
	if err == nil || time.Since(began) > 5*time.Second {
		t.Fatalf("Run returned %v after %v", err, time.Since(began))
	}
	if got := s.sorted(); len(got) != 1 || got[0].Outcome != results.Canceled {
		t.Errorf("records %+v", got)
	}
}

func TestSpeedTwentyKeepsRunTime(t *testing.T) {
	got, _ := load(t, Options{Arrivals: constant(40, 100*time.Millisecond), Clock: results.Clock{Speed: 20}},
		func(w http.ResponseWriter, r *http.Request) { time.Sleep(10 * time.Millisecond) })
	for _, r := range got {
		if d := r.Done - r.Sent; d < 200*time.Millisecond || r.Sent < r.Scheduled-20*maxLead {
			t.Fatalf("a true 200 ms of run time was measured as %v: %+v", d, r)
		}
	}
}

func TestShardsShareTheArrivals(t *testing.T) {
	seen := map[int]int{}
	for shard := range 3 {
		got, _ := load(t, Options{Arrivals: constant(100, 0), Shard: shard, Shards: 3}, func(http.ResponseWriter, *http.Request) {})
		for _, r := range got {
			seen[r.Arrival]++
			if r.Arrival%3 != shard {
				t.Errorf("shard %d sent arrival %d", shard, r.Arrival)
			}
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d arrivals sent, want 100", len(seen))
	}
}

func TestMaximumRateShedsWhatIsAbove(t *testing.T) {
	// 1,000 in a second, of which one second's worth of the bucket (10) and
	// what it refills (10) may go.
	got, rep := load(t, Options{Arrivals: constant(1000, time.Millisecond), Clock: results.Clock{Speed: 10}, MaxRate: 10},
		func(http.ResponseWriter, *http.Request) {})
	ok := 0
	for _, r := range got {
		if r.Outcome == results.OK {
			ok++
		}
	}
	if len(got) != 1000 || ok < 19 || ok > 20 {
		t.Errorf("%d recorded, %d sent; want 1000, 19 or 20; %q", len(got), ok, rep.Errors)
	}
}

// serve runs a handler on loopback for the test's time, and returns its URL.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}
