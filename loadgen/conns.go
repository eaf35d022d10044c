package loadgen

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/results"
)

// A lane is one generation of connections: a wire or an http.Transport that is used until
// its maximum age, then takes no more requests, finishes its current ones and closes. So
// connections move without a reset, in HTTP/1.1 and HTTP/2, and a name is resolved again
// once per generation.
//
// Note: rejected marking over-age connections through httptrace.GotConn and Request.Close,
// because the transport copies requests that have a body and never sees the mark, and
// because it cannot age HTTP/2.
type lane struct {
	wire  *wire           // clear text HTTP/1.1; nil = http
	http  *http.Transport // TLS, HTTP/2
	until time.Time       // takes no new requests after it; zero = no limit
	addr  string          // the pod that it connects to; "" = as in the URL

	// Under conns.mu.
	inFlight int
	retired  bool
}

// conns lends lanes to requests.
//
// There are several pools, used in turn: Go's idle pool returns the connection used last,
// so with a single pool the oldest connections take all the load (golang/go#23427), and
// newer replicas get none. Aging makes connections move, several pools spread them: both
// are needed.
type conns struct {
	mode    results.ConnectionMode
	wallAge time.Duration
	make    func(pod string) *lane // "" = dial what the URL says
	opened  atomic.Int64

	mu    sync.Mutex
	rng   *rand.Rand
	pools []*lane
	turn  int
	pods  []*lane // endpoints mode, in the order told
	live  map[*lane]struct{}

	dial dialFunc // for probe
	tls  *tls.Config
}

var errNoEndpoints = errors.New("no ready endpoint to send to")

// A dialed is a connection that knows its peer. Its texts are made once per connection
// instead of once per request.
type dialed struct {
	net.Conn
	addr string // "ip:port"
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// newConns makes the connections' keeper. age is the maximum age in wall time;
// dial opens connections, within its own time limit.
func newConns(
	mode results.ConnectionMode,
	pools int,
	u *url.URL,
	http2 string,
	age, connect time.Duration,
	dial dialFunc,
	tlsConfig *tls.Config,
	seed uint64,
) *conns {
	c := &conns{
		mode:    mode,
		wallAge: age,
		rng:     rand.New(rand.NewPCG(seed, 0x636f6e6e73)),
		live:    map[*lane]struct{}{},
		dial:    dial,
		tls:     tlsConfig,
	}
	counted := func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dial(ctx, network, addr)
		if err == nil {
			c.opened.Add(1)
		}
		return nc, err
	}
	c.make = func(pod string) *lane {
		l := &lane{addr: pod}
		c.live[l] = struct{}{}
		if isPlain(u.Scheme, http2) {
			l.wire = &wire{dial: counted, addr: cmp.Or(pod, hostPort(u.Host)), fresh: mode == results.Fresh}
			return l
		}
		t := &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := counted(ctx, network, cmp.Or(pod, addr))
				if err != nil {
					return nil, err
				}
				return &dialed{nc, nc.RemoteAddr().String()}, nil
			},
			TLSHandshakeTimeout: connect,
			MaxIdleConnsPerHost: 10_000, // idle connections are held back by age, not by number
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true, // what is measured is what was sent
			DisableKeepAlives:   mode == results.Fresh,
			ForceAttemptHTTP2:   http2 == "",
			ReadBufferSize:      8 << 10,
		}
		if tlsConfig != nil {
			t.TLSClientConfig = tlsConfig.Clone()
		}
		switch http2 {
		case "h2c":
			t.Protocols = new(http.Protocols)
			t.Protocols.SetUnencryptedHTTP2(true)
		case "off":
			t.Protocols = new(http.Protocols)
			t.Protocols.SetHTTP1(true)
		}
		l.http = t
		return l
	}
	n := 1
	if mode == results.Realistic {
		n = pools
	}
	if mode != results.ToEndpoints {
		c.pools = make([]*lane, n)
	}
	return c
}

// lease returns the lane for the next request; return it with release.
func (c *conns) lease(now time.Time) (*lane, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mode == results.ToEndpoints {
		l := c.leastLoaded()
		if l == nil {
			return nil, errNoEndpoints
		}
		l.inFlight++
		return l, nil
	}
	i := c.turn
	c.turn = (c.turn + 1) % len(c.pools)
	l := c.pools[i]
	if l == nil || !l.until.IsZero() && now.After(l.until) {
		// The ends of the first generation are spread over a whole age, so that the pools
		// do not move together; later ones live for 75 to 100 % of it.
		life := 0.75 + 0.25*c.rng.Float64()
		if l == nil {
			life = (float64(i) + c.rng.Float64()) / float64(len(c.pools))
		} else {
			c.retire(l)
		}
		l = c.make("")
		if c.mode == results.Realistic {
			l.until = now.Add(time.Duration(life * float64(c.wallAge)))
		}
		c.pools[i] = l
	}
	l.inFlight++
	return l, nil
}

// leastLoaded returns the pod with the fewest requests in flight, in turn
// among equals; nil if there is no pod.
func (c *conns) leastLoaded() *lane {
	var best *lane
	n := len(c.pods)
	for k := range n {
		if l := c.pods[(c.turn+k)%n]; best == nil || l.inFlight < best.inFlight {
			best = l
		}
	}
	if n > 0 {
		c.turn = (c.turn + 1) % n
	}
	return best
}

// release gives a lane back when its request is over.
func (c *conns) release(l *lane) {
	c.mu.Lock()
	l.inFlight--
	over := l.retired && l.inFlight == 0
	if over {
		delete(c.live, l)
	}
	c.mu.Unlock()
	if over {
		l.closeIdle()
	}
}

// retire ends a lane: idle connections close now, busy ones after their last request. The
// caller holds mu.
func (c *conns) retire(l *lane) {
	l.retired = true
	if l.inFlight == 0 {
		delete(c.live, l)
	}
	l.closeIdle()
}

func (l *lane) closeIdle() {
	if l.wire != nil {
		l.wire.closeIdle()
	} else {
		l.http.CloseIdleConnections()
	}
}

// setPods sets which pods are ready: removed pods get no new requests, added ones get some
// at once.
func (c *conns) setPods(addrs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := map[string]*lane{}
	for _, l := range c.pods {
		old[l.addr] = l
	}
	// A new slice: leastLoaded never sees half a list.
	pods := make([]*lane, 0, len(addrs))
	for _, a := range addrs {
		l, ok := old[a]
		if !ok {
			l = c.make(a)
		}
		delete(old, a)
		pods = append(pods, l)
	}
	for _, l := range old {
		c.retire(l)
	}
	c.pods = pods
}

// close closes what is idle, at the end of the run.
func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.live {
		l.closeIdle()
	}
}

// interrupt ends requests in flight on wires; those that use http.Transport end with their
// context.
func (c *conns) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.live {
		if l.wire != nil {
			l.wire.interrupt()
		}
	}
}

// probe returns a transport of its own to addr ("" = where the URL says), whose
// connections are not counted as load.
func (c *conns) probe(addr string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			return c.dial(ctx, network, cmp.Or(addr, to))
		},
		TLSClientConfig: c.tls.Clone(), // nil clones to nil
	}
}

// addrs returns the pods that are dialed, or one empty address: what the URL says.
func (c *conns) addrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mode != results.ToEndpoints {
		return []string{""}
	}
	var list []string
	for _, l := range c.pods {
		list = append(list, l.addr)
	}
	return list
}
