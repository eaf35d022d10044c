package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// constant is a profile at a rate.
func constant(rate float64, d time.Duration) *profiles.Profile {
	p, problems := profiles.Profile{Stages: []profiles.Stage{{
		Rate: new(profiles.Rate(rate)), Duration: d, Process: profiles.Process{Law: profiles.Even},
	}}}.Complete(nil)
	if problems != nil {
		panic(problems)
	}
	return p
}

// collect runs our generator and returns its requests.
func collect(o loadgen.Options) ([]results.Request, loadgen.Report, error) {
	var mu sync.Mutex
	var list []results.Request
	o.Emit = func(r results.Record) {
		if q, ok := r.(results.Request); ok {
			mu.Lock()
			list = append(list, q)
			mu.Unlock()
		}
	}
	rep, err := loadgen.Run(context.Background(), o)
	return list, rep, err
}

// stalls is bar B1 on a real clock: 500/s, a server that stalls 1 s in every 4.
// The bar itself is TestTruthUnderStall, in virtual time.
func stalls(b *bench) error {
	d := 16 * time.Second
	if b.short {
		d = 8 * time.Second
	}
	begin := time.Now()
	url, stop := serve(func(w http.ResponseWriter, r *http.Request) {
		if at := time.Since(begin) % (4 * time.Second); at < time.Second {
			time.Sleep(time.Second - at)
		}
	})
	defer stop()
	latency := func(list []results.Request) (p99 float64, shed int) {
		var all []float64
		for _, r := range list {
			if r.Outcome == results.OK {
				all = append(all, (r.Done - r.Scheduled).Seconds())
			} else {
				all = append(all, math.Inf(1))
				shed++
			}
		}
		return quantile(all, 0.99), shed
	}
	begin = time.Now()
	list, _, err := collect(loadgen.Options{Profile: constant(500, d), URL: url})
	if err != nil {
		return err
	}
	room, _ := latency(list)
	begin = time.Now()
	list, _, err = collect(loadgen.Options{Profile: constant(500, d), URL: url, MaxInFlight: 20})
	if err != nil {
		return err
	}
	_, shed := latency(list)
	begin = time.Now()
	a := vegeta.NewAttacker(vegeta.MaxWorkers(20))
	var m vegeta.Metrics
	for r := range a.Attack(vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: url}), vegeta.Rate{Freq: 500, Per: time.Second}, d, "") {
		m.Add(r)
	}
	m.Close()
	const truth = 0.96
	judged := verdict(math.Abs(room-truth) <= 0.02*truth)
	if late := quantile(bareSleep(500, 2*time.Second), 0.99); late > 500 && judged == "fail" {
		judged = "inconclusive" // the machine is late by itself
	}
	b.add(
		figure{
			"B1",
			"p99 under stall, room in flight, against 0.96 s",
			"s",
			&room,
			new(m.Latencies.P99.Seconds()),
			"vegeta -max-workers 20",
			"within 2 %",
			judged,
			"on a real clock; in CI in virtual time",
		},
	)
	want := float64(480 * int(d/(4*time.Second)))
	b.add(
		figure{
			"B1",
			fmt.Sprintf("shed with 20 in flight, against %.0f", want),
			"arrivals",
			new(float64(shed)),
			new(0.0),
			"vegeta",
			"exact in CI",
			"info",
			"a real machine sheds a few more",
		},
	)
	return nil
}

// pacing is bar B2: |send − intended|, ours and vegeta's in turns.
func pacing(b *bench) error {
	url, stop := serve(func(http.ResponseWriter, *http.Request) {})
	defer stop()
	rounds, d := 5, 3*time.Second
	if b.short {
		rounds, d = 2, 2*time.Second
	}
	for _, rate := range []int{50, 500, 2000} {
		var our50, our99, peer50, peer99, bare99 []float64
		for range rounds {
			bare99 = append(bare99, quantile(bareSleep(rate, time.Second), 0.99))
			list, _, err := collect(loadgen.Options{Profile: constant(float64(rate), d), URL: url})
			if err != nil {
				return err
			}
			var e []float64
			for _, r := range list {
				e = append(e, micros(r.Sent-r.Scheduled))
			}
			e = abs(e)
			our50, our99 = append(our50, quantile(e, 0.5)), append(our99, quantile(e, 0.99))

			e = e[:0]
			a := vegeta.NewAttacker()
			began := time.Now()
			for r := range a.Attack(vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: url}), vegeta.Rate{Freq: rate, Per: time.Second}, d, "") {
				intended := began.Add(time.Duration(r.Seq+1) * time.Second / time.Duration(rate))
				e = append(e, micros(r.Timestamp.Sub(intended)))
			}
			// Its own start is some µs after ours: take the earliest as on time.
			first := slices.Min(e)
			for i := range e {
				e[i] -= first
			}
			peer50, peer99 = append(peer50, quantile(e, 0.5)), append(peer99, quantile(e, 0.99))
		}
		noisy := median(bare99) > 500
		judge := func(ok bool) string {
			if noisy && !ok {
				return "inconclusive"
			}
			return verdict(ok)
		}
		note := fmt.Sprintf("bare sleep loop p99 %.0f µs", median(bare99))
		b.add(
			figure{
				"B2",
				fmt.Sprintf("pacing error p50 at %d/s", rate),
				"µs",
				new(median(our50)),
				new(median(peer50)),
				"vegeta",
				"≤ 60",
				judge(median(our50) <= 60),
				note,
			},
		)
		b.add(
			figure{
				"B2",
				fmt.Sprintf("pacing error p99 at %d/s", rate),
				"µs",
				new(median(our99)),
				new(median(peer99)),
				"vegeta",
				"≤ half of the peer's",
				judge(median(our99) <= median(peer99)/2),
				note,
			},
		)
	}
	return nil
}

// memory is bar B4: growth over 2 million requests with a storm of resets.
func memory(b *bench) error {
	url, stop, err := b.server("storm")
	if err != nil {
		return err
	}
	defer stop()
	n := "2000000"
	if b.short {
		n = "200000"
	}
	dir, err := os.MkdirTemp("", "bench-loadgen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, k := range []struct{ what, dir string }{{"the generator alone", ""}, {"with the run folder", filepath.Join(dir, "run")}} {
		cmd := exec.Command(self(), "role", "memory", url, "200", n, k.dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return err
		}
		var m struct{ Early, Late, Peak, Requests, Resets, Errors float64 }
		if err := json.Unmarshal(out, &m); err != nil {
			return err
		}
		growth := (m.Late - m.Early) / (m.Requests * 0.75)
		note := fmt.Sprintf(
			"%.0f requests, %.0f reset, %.0f distinct errors, closed loop at full speed",
			m.Requests,
			m.Resets,
			m.Errors,
		)
		b.add(
			figure{
				"B4",
				"memory growth after the first quarter, " + k.what,
				"B/request",
				&growth,
				nil,
				"",
				"< 1",
				verdict(growth < 1),
				note,
			},
		)
		b.add(
			figure{
				"B4",
				"resident memory at 200 in flight, " + k.what,
				"MB",
				new(m.Peak / 1e6),
				nil,
				"",
				"≤ 60",
				verdict(m.Peak <= 60e6),
				"",
			},
		)
	}
	return nil
}

// spread is bar B6: who gets the traffic after 1 → 4 replicas.
func spread(b *bench) error {
	d := 60 * time.Second
	if b.short {
		d = 25 * time.Second
	}
	const after = 6 * time.Second
	type side struct {
		shares []float64
		conns  int
		dealt  []int
		n      int
	}
	var ours, peer side
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	wg.Go(func() {
		lb := newBalancer(4, 20*time.Millisecond, 1)
		defer lb.Close()
		time.AfterFunc(after, func() { lb.scale(4) })
		list, rep, err := collect(loadgen.Options{Profile: constant(200, d), URL: lb.url()})
		if err != nil {
			errs <- err
			return
		}
		// From one maximum age after the scale-out.
		counts := map[string]float64{}
		total := 0.0
		for _, r := range list {
			if r.Scheduled > after+10*time.Second && r.Backend >= 0 {
				counts[rep.Backends[r.Backend].Name]++
				total++
			}
		}
		for i := range 4 {
			ours.shares = append(ours.shares, counts[fmt.Sprint("replica-", i)]/total)
		}
		ours.conns, ours.dealt, ours.n = rep.Client.Connections, lb.since(), len(list)
	})
	wg.Go(func() {
		lb := newBalancer(4, 20*time.Millisecond, 2)
		defer lb.Close()
		time.AfterFunc(after, func() { lb.scale(4) })
		counts, total := map[string]float64{}, 0.0
		a := vegeta.NewAttacker()
		for r := range a.Attack(vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: lb.url()}), vegeta.Rate{Freq: 200, Per: time.Second}, d, "") {
			peer.n++
			if r.Seq > uint64(200*(after+10*time.Second).Seconds()) {
				counts[r.Headers.Get(loadgen.BackendHeader)]++
				total++
			}
		}
		for i := range 4 {
			peer.shares = append(peer.shares, counts[fmt.Sprint("replica-", i)]/total)
		}
		peer.conns = lb.total()
	})
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return err
	}
	least := slices.Min(ours.shares[1:])
	b.add(
		figure{
			"B6",
			"least share of a new replica, 1 → 4",
			"ratio",
			&least,
			new(slices.Min(peer.shares[1:])),
			"vegeta",
			"≥ 0.15",
			verdict(least >= 0.15),
			fmt.Sprintf("%.3f, vegeta %.3f", ours.shares, peer.shares),
		},
	)
	// The balancer draws per connection, so connections are what chi-squared may
	// count: requests on one connection are not independent.
	p := chiSquared(ours.dealt)
	b.add(
		figure{
			"B6",
			"chi-squared p of connections since the scale-out",
			"p",
			&p,
			nil,
			"",
			"> 0.001",
			verdict(p > 0.001),
			fmt.Sprint(ours.dealt),
		},
	)
	c := float64(ours.conns) / float64(ours.n)
	b.add(
		figure{
			"B6",
			"connections a request",
			"ratio",
			&c,
			new(float64(peer.conns) / float64(peer.n)),
			"vegeta",
			"≤ 0.06",
			verdict(c <= 0.06),
			fmt.Sprintf("%d for %d", ours.conns, ours.n),
		},
	)
	return nil
}

// chiSquared returns the probability of counts at least as uneven as these
// four, were all equally likely: the survival function with 3 degrees of
// freedom, erfc(√(x/2)) + √(2x/π)·exp(−x/2).
func chiSquared(counts []int) float64 {
	total := 0
	for _, n := range counts {
		total += n
	}
	e := float64(total) / 4
	x := 0.0
	for _, n := range counts {
		x += (float64(n) - e) * (float64(n) - e) / e
	}
	return math.Erfc(math.Sqrt(x/2)) + math.Sqrt(2*x/math.Pi)*math.Exp(-x/2)
}

// server starts this program as a server on the other core and returns its URL.
func (b *bench) server(kind string) (url string, stop func(), err error) {
	cmd := b.pinned(1, self(), "role", "serve", kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", nil, fmt.Errorf("server: %w", err)
	}
	// It ends when its input does.
	return strings.TrimSpace(line), func() { in.Close(); _ = cmd.Wait() }, nil
}

// pinned returns a command that runs on one core, where taskset is there.
func (b *bench) pinned(core int, name string, args ...string) *exec.Cmd {
	if !b.taskset {
		return exec.Command(name, args...)
	}
	return exec.Command("taskset", append([]string{"-c", strconv.Itoa(core), name}, args...)...)
}
