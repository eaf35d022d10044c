//go:build linux

package e2e

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	llama "github.com/hpatune/hpatune/test/cluster/tinyllm"
)

// What a token costs differs between machines by a factor of three, and what a
// load does to an HPA rests on it. So the tests say how much CPU a request is to
// cost, and the length of its answer follows: rates and counts of arrivals stay.
const (
	requestCPU = 9 * time.Millisecond // a pod limited to 200m serves 20 a second of them
	smallCPU   = 5 * time.Millisecond
	promptSize = 8 // tokens
)

// tokenCPU is the CPU time that one token of tinyllm takes on this machine: the
// median of seven answers of its model, in this process, on a thread of their own.
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

// answerOf is how many tokens the answer to a prompt of promptSize tokens needs,
// for the request to cost cpu on this machine; from 4 to 128.
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
