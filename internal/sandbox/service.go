package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Service is what one replica is: how many requests it serves at once, how
// long they take, what they burn, and how long a new one needs to start.
// All durations are run time.
type Service struct {
	Name  string // of the Deployment; its pods are NAME-<hash>-<n>
	Model string // the model's name on the wire

	Slots int // requests served at once, 1 or more
	Queue int // requests that wait for a slot before the answer is 429, 0 or more

	// A request holds its slot for Prefill + PerPromptToken·prompt + PerToken·(output−1);
	// the first token comes at the end of the prefill. Times do not depend on
	// how many slots are busy.
	Prefill, PerPromptToken, PerToken time.Duration
	// Chunk is the least time between two events of a stream: as many tokens
	// go into one as fall into it.
	Chunk     time.Duration
	MaxTokens int // answered where the request asks for none

	CPURequestMilli, CPULimitMilli    int64
	MemoryRequestBytes                int64
	CPUIdleMilli, CPUPerSlotMilli     int64 // burnt always, and by each busy slot
	MemoryBaseBytes, MemoryPerRequest int64 // the loaded model, and each busy slot's cache

	Schedule, Pull, Start, Load Span          // a new pod's phases, in their order
	Propagation                 time.Duration // from a pod's deletion to the balancer's leaving it out
	Grace                       time.Duration // what a deleted pod's requests get before they are cut
}

// Span is a range that a duration is drawn from, evenly.
type Span struct{ Min, Max time.Duration }

func (s Span) draw(r *rand.Rand) time.Duration {
	if s.Max <= s.Min {
		return s.Min
	}
	return s.Min + time.Duration(r.Int64N(int64(s.Max-s.Min)))
}

// DefaultService is a small language model on one core: 8 slots of 125
// millicores each, so that a full replica burns about its CPU request, and
// about 6.9 s for 512 prompt and 60 output tokens: 1.16 requests/s a replica.
//
// Its phases are slow on purpose. At speed 20 nothing is simulated in less than
// 400 ms of run time = 20 ms of wall time, far above what sleeping costs; a
// second of TTFT leaves room for an SLO of 4 s, of which 5 % is 10 ms of wall time.
func DefaultService() Service {
	return Service{
		Name: "inference-endpoint", Model: "sandbox-llm",
		Slots: 8, Queue: 64,
		Prefill: 500 * time.Millisecond, PerPromptToken: time.Millisecond, PerToken: 100 * time.Millisecond,
		Chunk: 800 * time.Millisecond, MaxTokens: 60,
		CPURequestMilli: 1000, CPULimitMilli: 1500, MemoryRequestBytes: 2 << 30,
		CPUIdleMilli: 15, CPUPerSlotMilli: 120,
		// 44 % of the request with the model loaded, 46 % when full: it says
		// nothing about load, and pulls a target of 80 % nowhere.
		MemoryBaseBytes: 900 << 20, MemoryPerRequest: 5 << 20,
		Schedule:    Span{500 * time.Millisecond, 2 * time.Second},
		Pull:        Span{4 * time.Second, 8 * time.Second},
		Start:       Span{time.Second, 2 * time.Second},
		Load:        Span{18 * time.Second, 26 * time.Second},
		Propagation: time.Second,
		Grace:       30 * time.Second,
	}
}

// hold returns how long a request keeps its slot before the first token, and in all.
func (s Service) hold(prompt, tokens int) (first, total time.Duration) {
	first = s.Prefill + time.Duration(prompt)*s.PerPromptToken
	return first, first + time.Duration(max(tokens-1, 0))*s.PerToken
}

// perEvent returns how many tokens go into one event of a stream.
func (s Service) perEvent() int {
	if s.PerToken <= 0 {
		return 1
	}
	return max(1, int((s.Chunk+s.PerToken-1)/s.PerToken))
}

// validate reports all that is wrong, for a sandbox at that speed.
func (s Service) validate(speed float64) error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("service: "+format, args...))
		}
	}
	bad(s.Name != "", "name is empty")
	bad(s.Slots >= 1, "slots %d: want at least 1", s.Slots)
	bad(s.Queue >= 0, "queue %d is negative", s.Queue)
	bad(s.PerPromptToken >= 0 && s.PerToken >= 0, "a time per token is negative")
	bad(s.MaxTokens >= 1, "max tokens %d: want at least 1", s.MaxTokens)
	bad(s.CPURequestMilli > 0 && s.MemoryRequestBytes > 0, "the autoscaler needs CPU and memory requests")
	bad(s.CPUIdleMilli >= 0 && s.CPUPerSlotMilli >= 0, "CPU use is negative")
	for _, p := range []struct {
		name string
		d    time.Duration
	}{
		{"prefill", s.Prefill}, {"chunk", s.Chunk}, {"schedule", s.Schedule.Min}, {"pull", s.Pull.Min}, {"start",
			s.Start.Min}, {"load", s.Load.Min},
	} {
		// 20 ms of wall time: a simulated phase must stand well above the test bed's own delay.
		if least := time.Duration(float64(20*time.Millisecond) * speed); p.d < least {
			errs = append(
				errs,
				fmt.Errorf(
					"service: %s of %v is too short at speed %g; want at least %v, or a lower speed",
					p.name,
					p.d,
					speed,
					least,
				),
			)
		}
	}
	return errors.Join(errs...)
}

// Startup is how long a new pod takes to become ready, at most.
func (s Service) Startup() time.Duration {
	return s.Schedule.Max + s.Pull.Max + s.Start.Max + s.Load.Max
}
