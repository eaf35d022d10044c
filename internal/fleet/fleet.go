// Package fleet sends one schedule from many load generators: a Kubernetes Indexed
// Job whose pods start together and each send one shard. Their recordings are
// merged into one run.
//
//	Launch   makes the Job, waits for its pods, reads their clocks
//	Start    tells each worker, in its own clock, when the run begins
//	Collect  fetches the runs through the API server's pod proxy
//	Merge    merges them: every arrival of the schedule once, those of a
//	         lost worker as never sent
//	Close    deletes the Job, and with it everything that Launch made
//
// Apart from internal/kube it is the only package that writes to a cluster: a Job
// and a Secret of its own. It changes no existing object.
package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Shard is a load generator's part of a schedule: the arrivals whose index
// leaves I when divided by N.
type Shard struct {
	I, N int // 0 ≤ I < N
}

// ParseShard reads "3/8": the fourth of eight, 0/8 is the first.
func ParseShard(text string) (Shard, error) {
	a, b, ok := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil || n < 1 {
		return Shard{}, fmt.Errorf("shard %q: not I/N; try 0/2 and 1/2", text)
	}
	if i < 0 || i >= n {
		return Shard{}, fmt.Errorf("shard %s does not exist; try 0/%d to %d/%d", text, n, n-1, n)
	}
	return Shard{i, n}, nil
}

// String returns I/N.
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.I, s.N) }

// Order is what a worker gets: what to send, where, and when.
type Order struct {
	Shard    Shard
	Start    time.Time // run time 0, in the worker's own clock
	Seed     int64
	URL      string
	Profile  string            // name of the profile among Files
	Files    map[string][]byte // the profile and the files that it names
	MaxRate  float64           // of this worker; 0 = no limit
	InFlight int               // of this worker; 0 = the default
	HTTP2    string
	CA       []byte // PEM beside the system's; nil = none
	Insecure bool
}
