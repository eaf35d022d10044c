package loadgen

import (
	"slices"
	"sync"

	"github.com/hpatune/hpatune/results"
)

// BackendHeader is the response header that may name the backend that answered, unless the
// profile names another one. Behind a load balancer nothing else does.
const BackendHeader = "X-Backend"

// backends numbers the servers that answered.
type backends struct {
	mu    sync.Mutex
	index map[string]int32
	list  []results.Backend
	known map[string]*float64 // addresses that the observer reported, and since when (nil = from the start)
	// many is true if addresses identify backends: several are behind the name.
	many  bool
	added func(i int32, b results.Backend) // may be nil
}

// of returns the number of the backend that answered: by its name in the header, else by
// its address if addresses identify backends, else -1. A single address may be one server
// or a load balancer in front of fifty, so it says nothing.
func (b *backends) of(name, addr string) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := name
	if key == "" {
		if _, ok := b.known[addr]; !ok && !b.many {
			return -1
		}
		key = addr
	}
	if i, ok := b.index[key]; ok {
		return i
	}
	if b.index == nil {
		b.index = map[string]int32{}
	}
	e := results.Backend{Name: key, ReadyAtS: b.known[addr]}
	if _, ok := b.known[addr]; ok || b.many {
		e.Address = addr
	}
	i := int32(len(b.list))
	b.index[key] = i
	b.list = append(b.list, e)
	if b.added != nil {
		b.added(i, e)
	}
	return i
}

// told records the list of ready addresses at a time of the run.
func (b *backends) told(e results.Endpoints) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.known == nil
	if first {
		b.known = map[string]*float64{}
	}
	for _, a := range e.Ready {
		if _, ok := b.known[a]; ok {
			continue
		}
		var since *float64
		if at := e.At.Seconds(); !first && e.At > 0 {
			since = &at
		}
		b.known[a] = since
	}
}

// resolved records that the target's name has n addresses.
func (b *backends) resolved(n int) {
	b.mu.Lock()
	b.many = b.many || n > 1
	b.mu.Unlock()
}

func (b *backends) all() []results.Backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list)
}
