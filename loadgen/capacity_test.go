package loadgen

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// A server of 4 slots that take 100 ms each serves 40/s. In virtual time: the
// search must find that, whatever the machine.
func TestFindCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := make(chan struct{}, 4)
		p := newPipes()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			slots <- struct{}{}
			time.Sleep(100 * time.Millisecond)
			<-slots
		})}
		var wg sync.WaitGroup
		wg.Go(func() { _ = srv.Serve(p) })
		var s sink
		got, err := FindCapacity(t.Context(), CapacityOptions{
			Load: Options{
				Profile: plan(profiles.Target{}, profiles.Timeouts{}), URL: "http://slots.test", Emit: s.emit, Dial: p.dial, sleep: goSleep, Seed: 1,
				Lookup: nobody,
			},
			Step: 30 * time.Second,
			Meets: func(step []results.Request) (bool, string) {
				late := 0
				for _, r := range step {
					if r.Outcome != results.OK || r.Done-r.Scheduled > time.Second {
						late++
					}
				}
				return float64(late) <= 0.05*float64(len(step)), fmt.Sprintf("%d of %d took more than 1 s", late, len(step))
			},
		})
		_ = srv.Close()
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		// With Poisson arrivals and a limit of ten service times some 0.9 of the
		// 40/s hold; half and 40 would be wrong for any seed.
		if got.Peak < 38 || got.Peak > 42 || got.Lo < 28 || got.Hi > 42 || got.Hi-got.Lo > 0.05*got.Hi+1e-9 || got.Value != got.Lo || got.Why == "" {
			t.Errorf("capacity %+v", got)
		}
		// The search is a run like any other: every arrival once, stages one behind the other.
		list := s.sorted()
		n := 0
		for _, st := range got.Stages {
			n += st.Arrivals
		}
		if len(list) != n || got.Report.Requests != n {
			t.Errorf("%d records, %d in the stages, %d in the report", len(list), n, got.Report.Requests)
		}
		for i, r := range list {
			if r.Arrival != i || int(r.Stage) >= len(got.Stages) {
				t.Fatalf("record %d = %+v", i, r)
			}
		}
	})
}

func TestCapacityOfWhatNeverAnswersWell(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }))
	defer srv.Close()
	var s sink
	_, err := FindCapacity(t.Context(), CapacityOptions{
		Load: Options{Profile: plan(profiles.Target{}, short), URL: srv.URL, Emit: s.emit, Clock: results.Clock{Speed: 100}}, Step: time.Second,
	})
	if err == nil {
		t.Error("a server that only fails has a capacity")
	}
}

// A closed loop sends the next request when one comes back, and no faster than
// --max-rate: a server that fails at once must not be flooded.
func TestCapacitySearchKeepsTheRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNotImplemented)
		})}
		var wg sync.WaitGroup
		wg.Go(func() { _ = srv.Serve(p) })
		var s sink
		_, err := FindCapacity(t.Context(), CapacityOptions{
			Load: Options{
				Profile: plan(profiles.Target{}, profiles.Timeouts{}), URL: "http://fails.test", Emit: s.emit, Dial: p.dial,
				sleep: goSleep, Seed: 1, Lookup: nobody, MaxRate: 5,
			},
			Step: 20 * time.Second,
		})
		_ = srv.Close()
		wg.Wait()
		if err == nil {
			t.Error("no error where nothing is answered well")
		}
		if n := len(s.sorted()); n < 20 || n > 102 {
			t.Errorf("%d requests in a step of 20s at 5/s, want at most 100", n)
		}
	})
}
