//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	llama "github.com/hpatune/hpatune/test/cluster/tinyllm"
)

// The cost of a token differs between machines by a factor of three, and the effect of a load on an
// HPA depends on it. So the tests state how much CPU a request should cost, and compute the length
// of its answer. Rates and numbers of arrivals do not change.
const (
	requestCPU = 9 * time.Millisecond // a pod limited to 200m serves 20 a second of them
	smallCPU   = 5 * time.Millisecond
	promptSize = 8 // tokens
)

// tokenCPU is the CPU time that one token of tinyllm takes on this machine: the median of seven
// answers of its model, computed in this process on a separate thread.
var tokenCPU = sync.OnceValues(func() (time.Duration, error) {
	model, err := llama.New(llama.DefaultConfig())
	if err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const tokens = 64
	var took []time.Duration
	for range 7 {
		began, err := threadCPU()
		if err != nil {
			return 0, err
		}
		for i, seq := 0, model.NewSequence(); i < tokens; i++ {
			seq.Forward(i, true)
		}
		ended, err := threadCPU()
		if err != nil {
			return 0, err
		}
		took = append(took, (ended-began)/tokens)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
})

// threadCPU is the CPU time that the calling thread has used.
func threadCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// answerOf is the number of tokens that the answer to a prompt of promptSize tokens must have so
// that the request costs cpu on this machine; from 4 to 128.
func answerOf(t *testing.T, cpu time.Duration) int {
	t.Helper()
	token, err := tokenCPU()
	if err != nil {
		t.Fatal(err)
	}
	n := min(max(int(cpu/token)-promptSize, 4), 128)
	say(t, "a token costs %v of CPU here: %d for a request of %v", token, n, cpu)
	return n
}

// costOf is the CPU time that a request of tokens costs w's only pod, including the server, as the
// pod counts it: the mean of sixty requests, one after another over one connection.
func (s *suite) costOf(t *testing.T, w workload, tokens int) time.Duration {
	t.Helper()
	const requests = 60
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: s.c.Dial}}
	defer client.CloseIdleConnections()
	used := func() time.Duration {
		t.Helper()
		res, err := client.Get(w.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := readAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(line, "process_cpu_seconds_total "); ok {
				seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					t.Fatal(err)
				}
				return time.Duration(seconds * float64(time.Second))
			}
		}
		t.Fatalf("%s/metrics has no process_cpu_seconds_total", w.url)
		return 0
	}
	body := fmt.Sprintf(`{"prompt":%q,"max_tokens":%d,"stream":true,"stream_options":{"include_usage":true}}`, strings.Repeat("a ", promptSize), tokens)
	before := used()
	for range requests {
		res, err := client.Post(w.url+"/v1/completions", "application/json", bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := readAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %.200s", res.Status, err, text)
		}
	}
	return (used() - before) / requests
}

// servedAnswer is answerOf, corrected by the measured cost of a request in w's only pod, which on
// some machines is 1.5 times the cost of its tokens or more.
func (s *suite) servedAnswer(t *testing.T, w workload, cpu time.Duration) (tokens int, cost time.Duration) {
	t.Helper()
	tokens = answerOf(t, cpu)
	for range 2 {
		cost = s.costOf(t, w, tokens)
		say(t, "a request of %d tokens costs the pod %v, wanted %v", tokens, cost, cpu)
		if diff := max(cost-cpu, cpu-cost); diff < cpu/20 {
			return tokens, cost
		}
		all := float64(tokens+promptSize) * float64(cpu) / float64(cost)
		tokens = min(max(int(all+0.5)-promptSize, 4), 128)
	}
	cost = s.costOf(t, w, tokens)
	say(t, "a request of %d tokens costs the pod %v", tokens, cost)
	return tokens, cost
}
