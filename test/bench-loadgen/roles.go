package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// role is what this program does when it is started by itself, on a core of its own.
func role(name string, args []string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench-loadgen", name+":", err)
			os.Exit(1)
		}
	}
	num := func(i int) int {
		n, err := strconv.Atoi(args[i])
		must(err)
		return n
	}
	switch name {
	case "serve":
		url, stop := serve(handler(args[0]))
		fmt.Println(url)
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	case "closed", "metered":
		target, dir := profiles.Target{}, ""
		if name == "metered" {
			target = profiles.Target{Protocol: "openai-chat"}
		} else {
			dir = args[3]
		}
		v, err := closed(args[0], target, num(1), time.Duration(num(2))*time.Second, dir)
		must(err)
		fmt.Println(v)
	case "raw":
		fmt.Println(rawReads(args[0], num(1), time.Duration(num(2))*time.Second))
	case "memory":
		must(remember(args[0], num(1), num(2), args[3]))
	}
}

// endless is a schedule without an end, for closed loops.
func endless(n int) iter.Seq[profiles.Arrival] {
	return func(yield func(profiles.Arrival) bool) {
		for i := 0; n == 0 || i < n; i++ {
			if !yield(profiles.Arrival{Index: i, Prompt: 16}) {
				return
			}
		}
	}
}

// folder opens a run folder; its Emit is where everything is recorded.
func folder(dir string, start time.Time) (*store.Writer, error) {
	return store.Create(
		dir,
		results.Meta{Schema: results.Schema, Run: "bench", Start: start, Speed: 1},
		[]byte("name: bench\n"),
	)
}

// closed runs a closed loop and returns answers a second; with a dir,
// everything is recorded there, and the time includes writing it.
func closed(url string, target profiles.Target, n int, d time.Duration, dir string) (float64, error) {
	start := time.Now()
	var ok atomic.Int64
	emit := func(r results.Record) {
		if q, is := r.(results.Request); is && q.Outcome == results.OK {
			ok.Add(1)
		}
	}
	if dir != "" {
		w, err := folder(dir, start)
		if err != nil {
			return 0, err
		}
		count := emit
		emit = func(r results.Record) { count(r); w.Emit(r) }
		defer w.Close(results.Meta{Schema: results.Schema, Run: "bench", Start: start, Speed: 1})
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	began := time.Now()
	_, err := loadgen.Run(ctx, loadgen.Options{
		Profile: &profiles.Profile{
			Target: target,
			Timeouts: profiles.Timeouts{
				Connect:    2 * time.Second,
				FirstToken: 30 * time.Second,
				Idle:       10 * time.Second,
				Total:      time.Minute,
			},
		},
		Arrivals: endless(0),
		URL:      url,
		Closed:   n,
		Clock:    results.Clock{Start: start},
		Emit:     emit,
	})
	if err != nil && ctx.Err() == nil {
		return 0, err
	}
	return float64(ok.Load()) / time.Since(began).Seconds(), nil
}

// rawReads does the same with net/http alone, reading answers and forgetting them.
func rawReads(url string, n int, d time.Duration) float64 {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	var ok atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		wg.Go(func() {
			for time.Since(began) < d {
				resp, err := client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader("{}"))
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				ok.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(ok.Load()) / time.Since(began).Seconds()
}

// remember sends n requests and prints the resident memory on the way; with a
// dir, everything is recorded there.
func remember(url string, inFlight, n int, dir string) error {
	debug.SetGCPercent(100)
	start := time.Now()
	record := func(results.Record) {}
	if dir != "" {
		w, err := folder(dir, start)
		if err != nil {
			return err
		}
		record = w.Emit
	}
	var sent, resets atomic.Int64
	var early, late, peak atomic.Int64
	emit := func(r results.Record) {
		record(r)
		if r.(results.Request).Outcome == results.Reset {
			resets.Add(1)
		}
		k := sent.Add(1)
		if k%int64(n/100) == 0 {
			now := resident()
			if k >= int64(n/4) && early.Load() == 0 {
				early.Store(now)
			}
			late.Store(now)
			peak.Store(max(peak.Load(), now))
		}
	}
	rep, err := loadgen.Run(context.Background(), loadgen.Options{
		Profile:  &profiles.Profile{},
		Arrivals: endless(n),
		URL:      url,
		Closed:   inFlight,
		Clock:    results.Clock{Start: start},
		Emit:     emit,
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{
		"Early":    early.Load(),
		"Late":     late.Load(),
		"Peak":     peak.Load(),
		"Requests": sent.Load(),
		"Resets":   resets.Load(),
		"Errors":   int64(len(rep.Errors)),
	})
}

// resident returns the resident memory of this process in bytes; 0 where the
// system has no /proc.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func serve(h http.HandlerFunc) (url string, stop func()) {
	s := httptest.NewServer(h)
	return s.URL, s.Close
}

// handler returns the server of a bar.
func handler(kind string) http.HandlerFunc {
	switch kind {
	case "stream":
		const head = `data: {"id":"chatcmpl-BlYWzqQk1","object":"chat.completion.chunk","created":1750000000,"model":"m","choices":[{"index":0,"delta":`
		var b bytes.Buffer
		for i := range 200 {
			fmt.Fprintf(&b, "%s{\"content\":\" word%d\"},\"finish_reason\":null}]}\n\n", head, i)
		}
		fmt.Fprintf(&b, "%s{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", head)
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write(b.Bytes())
		}
	case "storm":
		var n atomic.Int64
		return func(w http.ResponseWriter, r *http.Request) {
			// Of every 100,000 requests 5,000 in a row are reset.
			if n.Add(1)%100_000 < 5_000 {
				if nc, _, err := w.(http.Hijacker).Hijack(); err == nil {
					_ = nc.(*net.TCPConn).SetLinger(0)
					nc.Close()
				}
				return
			}
			_, _ = io.WriteString(w, "ok")
		}
	}
	return func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }
}

// A balancer deals connections to random replicas, as a ClusterIP does.
type balancer struct {
	net.Listener
	mu     sync.Mutex
	rng    *rand.Rand
	addrs  []string
	ready  int
	dealt  []int // since the last scale
	all    int
	closes []func()
}

func newBalancer(n int, takes time.Duration, seed uint64) *balancer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	b := &balancer{Listener: l, rng: rand.New(rand.NewPCG(seed, 0)), ready: 1, dealt: make([]int, n)}
	for i := range n {
		url, stop := serve(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(takes)
			w.Header().Set(loadgen.BackendHeader, fmt.Sprint("replica-", i))
		})
		b.addrs = append(b.addrs, strings.TrimPrefix(url, "http://"))
		b.closes = append(b.closes, stop)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.carry(c)
		}
	}()
	return b
}

func (b *balancer) url() string { return "http://" + b.Addr().String() }

func (b *balancer) Close() error { // the replicas end with the program: their connections may still be open
	return b.Listener.Close()
}

func (b *balancer) scale(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = n
	clear(b.dealt)
}

func (b *balancer) since() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int(nil), b.dealt...)
}

func (b *balancer) total() int { b.mu.Lock(); defer b.mu.Unlock(); return b.all }

func (b *balancer) carry(c net.Conn) {
	b.mu.Lock()
	i := b.rng.IntN(b.ready)
	b.dealt[i]++
	b.all++
	addr := b.addrs[i]
	b.mu.Unlock()
	s, err := net.Dial("tcp", addr)
	if err != nil {
		c.Close()
		return
	}
	go func() { _, _ = io.Copy(s, c); s.Close() }()
	_, _ = io.Copy(c, s)
	c.Close()
}
