package loadgen

import (
	"context"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// pipes is a listener whose connections are pipes in memory: client and server
// then live in one bubble of virtual time (testing/synctest).
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.conns <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// nobody is asked for names in a bubble.
func nobody(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }

func goSleep(ctx context.Context, t time.Time) bool {
	select {
	case <-time.After(time.Until(t)):
		return true
	case <-ctx.Done():
		return false
	}
}

// stalling runs 500/s against a server that stalls for the first second of
// every four, for seconds, in virtual time: nothing here depends on the machine.
func stalling(t *testing.T, seconds, inFlight int) (got []results.Request, rep Report) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPipes()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if at := time.Since(start) % (4 * time.Second); at < time.Second {
				time.Sleep(time.Second - at)
			}
		})}
		var wg sync.WaitGroup
		wg.Go(func() { _ = srv.Serve(p) })
		spec := profiles.Profile{
			Stages: []profiles.Stage{{Rate: new(profiles.Rate(500)), Duration: time.Duration(seconds) * time.Second, Process: profiles.Process{Law: profiles.Even}}},
		}
		profile, problems := spec.Complete(nil)
		if problems != nil {
			t.Fatal(problems)
		}
		var s sink
		var err error
		rep, err = Run(t.Context(), Options{
			Profile: profile, URL: "http://stalling.test", Clock: results.Clock{Start: start}, Emit: s.emit,
			MaxInFlight: inFlight, Dial: p.dial, Lookup: nobody,
			sleep: goSleep,
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = srv.Close()
		wg.Wait()
		got = s.sorted()
	})
	return got, rep
}

// p99 of the latencies from the scheduled send; what was not answered took forever.
func p99(list []results.Request) float64 {
	var all []float64
	for _, r := range list {
		if r.Outcome == results.OK {
			all = append(all, (r.Done - r.Scheduled).Seconds())
		} else {
			all = append(all, math.Inf(1))
		}
	}
	slices.Sort(all)
	return all[int(math.Ceil(0.99*float64(len(all))))-1]
}

// Bar B1. vegeta with 20 workers says p99 = 7 ms of such a server.
func TestTruthUnderStall(t *testing.T) {
	const seconds, rate = 16, 500
	t.Run("with room in flight", func(t *testing.T) {
		got, _ := stalling(t, seconds, 5000)
		// The truth, from the schedule alone: who comes in a stall waits for its end.
		var truth []results.Request
		for k := range seconds * rate {
			at := time.Duration((float64(k) + 0.5) / rate * 1e9)
			r := results.Request{Scheduled: at, Done: at}
			if in := at % (4 * time.Second); in < time.Second {
				r.Done += time.Second - in
			}
			truth = append(truth, r)
		}
		if len(got) != len(truth) {
			t.Fatalf("%d requests, want %d", len(got), len(truth))
		}
		want := p99(truth)
		if math.Abs(want-0.96) > 0.005 {
			t.Fatalf("the schedule's own p99 is %v, want 0.96", want)
		}
		if p := p99(got); math.Abs(p-want) > 0.02*want {
			t.Errorf("p99 = %v s, the schedule's own truth is %v s", p, want)
		}
	})
	t.Run("with 20 in flight", func(t *testing.T) {
		got, rep := stalling(t, seconds, 20)
		shed := 0
		for _, r := range got {
			if r.Outcome == results.Shed {
				shed++
			} else if r.Outcome != results.OK {
				t.Fatalf("request %+v", r)
			}
		}
		// Of the 500 arrivals of each stall 20 are let in.
		if want := seconds / 4 * (rate - 20); len(got) != seconds*rate || shed != want {
			t.Errorf("%d requests, %d shed; want %d and %d", len(got), shed, seconds*rate, want)
		}
		if rep.Client.MaxInFlight != 20 {
			t.Errorf("most in flight %d, want 20", rep.Client.MaxInFlight)
		}
		if p := p99(got); p < 1 {
			t.Errorf("p99 = %v s: an objective of 1 s is met although %d were never sent", p, shed)
		}
	})
}
