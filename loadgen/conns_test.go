package loadgen

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// A balancer deals each connection to a random backend, as a ClusterIP does.
type balancer struct {
	net.Listener
	mu       sync.Mutex
	rng      *rand.Rand
	backends []string
	dealt    []int // connections by backend
}

func newBalancer(t testing.TB, backends ...string) *balancer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{Listener: l, rng: rand.New(rand.NewPCG(1, 2)), backends: backends, dealt: make([]int, 16)}
	t.Cleanup(func() { l.Close() })
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

func (b *balancer) set(backends ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends, b.dealt = backends, make([]int, 16)
}

func (b *balancer) carry(c net.Conn) {
	b.mu.Lock()
	i := b.rng.IntN(len(b.backends))
	b.dealt[i]++
	addr := b.backends[i]
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

// replicas starts n servers that name themselves and take so long to answer.
func replicas(t testing.TB, n int, takes time.Duration) (addrs []string) {
	for i := range n {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(takes)
			w.Header().Set(BackendHeader, fmt.Sprint("replica-", i))
		}))
		t.Cleanup(srv.Close)
		addrs = append(addrs, srv.Listener.Addr().String())
	}
	return addrs
}

// shares counts the good answers by backend name, of arrivals after from.
func shares(list []results.Request, rep Report, from time.Duration) map[string]float64 {
	m, n := map[string]float64{}, 0.0
	for _, r := range list {
		if r.Outcome == results.OK && r.Scheduled >= from && r.Backend >= 0 {
			m[rep.Backends[r.Backend].Name]++
			n++
		}
	}
	for k := range m {
		m[k] /= n
	}
	return m
}

// A shorter bar B6, at ten times speed: 100/s for 40 s, replicas from 1 to 4 at
// 5 s. The full one (bench-loadgen) asks for 15 % each; here some 90 random
// connections decide, 3 % is five standard deviations away from the fair share.
func TestNewReplicasGetTraffic(t *testing.T) {
	addrs := replicas(t, 4, 2*time.Millisecond)
	b := newBalancer(t, addrs[0])
	timer := time.AfterFunc(500*time.Millisecond, func() { b.set(addrs...) })
	defer timer.Stop()
	profile := plan(profiles.Target{}, profiles.Timeouts{}) // a stall of the machine is no failure here
	list, rep := loadURL(t, Options{
		Arrivals: constant(4000, 10*time.Millisecond), Clock: results.Clock{Speed: 10}, URL: b.Addr().String(), Profile: profile,
	})
	got := shares(list, rep, 15*time.Second)
	for i := range 4 {
		if s := got[fmt.Sprint("replica-", i)]; s < 0.03 {
			t.Errorf("realistic: replica %d got %.1f %% of the requests: %v", i, 100*s, got)
		}
	}
	// How many connections that took is bench-loadgen's business: it depends on
	// how often this machine stalls.
	for _, r := range list {
		if r.Outcome != results.OK {
			t.Fatalf("moving connections cost a request: %+v, %q", r, rep.Errors)
		}
	}
}

// The control of the test above: what keeps its connection never meets the new ones.
func TestPinnedStarvesNewReplicas(t *testing.T) {
	addrs := replicas(t, 4, 0)
	b := newBalancer(t, addrs[0])
	profile := plan(profiles.Target{}, profiles.Timeouts{})
	profile.Connections = profiles.Connections{Mode: "pinned"}
	var s sink
	rep, err := Run(t.Context(), Options{
		// One at a time: on a busy machine open loop opens more than one connection.
		Arrivals: constant(500, 0), Closed: 1, URL: b.Addr().String(), Profile: profile,
		Emit: func(r results.Record) {
			if r.(results.Request).Arrival == 100 {
				b.set(addrs...)
			}
			s.emit(r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := shares(s.sorted(), rep, 0); got["replica-0"] != 1 || rep.Client.Connections != 1 {
		t.Errorf("pinned: %v over %d connections", got, rep.Client.Connections)
	}
}

func TestFreshOpensAConnectionPerRequest(t *testing.T) {
	profile := plan(profiles.Target{}, short)
	profile.Connections.Mode = "fresh"
	list, rep := load(t, Options{Arrivals: constant(50, time.Millisecond), Profile: profile}, func(http.ResponseWriter, *http.Request) {})
	if rep.Client.Connections != 50 {
		t.Errorf("%d connections for 50 requests", rep.Client.Connections)
	}
	for _, r := range list {
		if !r.NewConn {
			t.Fatalf("request %+v used an old connection", r)
		}
	}
}

func TestEndpointsAreDialedAsTheyCome(t *testing.T) {
	addrs := replicas(t, 2, 0)
	told := make(chan results.Endpoints, 2)
	told <- results.Endpoints{Ready: addrs[:1]}
	timer := time.AfterFunc(100*time.Millisecond, func() { told <- results.Endpoints{At: 2 * time.Second, Ready: addrs} })
	defer timer.Stop()
	profile := plan(profiles.Target{}, short)
	profile.Connections.Mode = "endpoints"
	list, rep := loadURL(t, Options{
		Arrivals: constant(200, 50*time.Millisecond), Clock: results.Clock{Speed: 20}, Endpoints: told, Profile: profile,
		URL: "http://service.invalid", // never resolved: the pods are
	})
	got := shares(list, rep, 5*time.Second)
	if got["replica-0"] < 0.4 || got["replica-1"] < 0.4 {
		t.Errorf("shares after the second came: %v, errors %q", got, rep.Errors)
	}
	for _, b := range rep.Backends {
		if since := b.ReadyAtS; b.Address == addrs[0] && since != nil || b.Address == addrs[1] && (since == nil || *since != 2) {
			t.Errorf("backend %+v", b)
		}
	}
	if _, err := Run(t.Context(), Options{Profile: profile, URL: "http://x"}); err == nil || !strings.Contains(err.Error(), "try mode realistic") {
		t.Errorf("endpoints that nobody tells of: %v", err)
	}
}

func TestNoEndpointsIsAFailureNotAHang(t *testing.T) {
	told := make(chan results.Endpoints, 1)
	told <- results.Endpoints{}
	profile := plan(profiles.Target{}, short)
	profile.Connections.Mode = "endpoints"
	list, rep := loadURL(t, Options{Arrivals: constant(3, 0), Endpoints: told, Profile: profile, URL: "http://service.invalid"})
	for _, r := range list {
		if r.Outcome != results.Connect || rep.Errors[r.Err] != errNoEndpoints.Error() {
			t.Errorf("request %+v, %q", r, rep.Errors)
		}
	}
}

// nameServer answers for model.test with the address that addr holds.
func nameServer(t *testing.T, addr *atomic.Pointer[string], asked *atomic.Int64) *net.Resolver {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				asked.Add(1)
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(*addr.Load()).As4()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func TestANameThatMovesIsFollowed(t *testing.T) {
	// Two servers on one port of two loopback addresses, behind one name.
	serve := func(l net.Listener, name string) {
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set(BackendHeader, name) })}
		t.Cleanup(func() { srv.Close() })
		go func() { _ = srv.Serve(l) }()
	}
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := a.Addr().(*net.TCPAddr).Port
	b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
	if err != nil {
		a.Close()
		t.Skip("this system has one loopback address: ", err)
	}
	serve(a, "old")
	serve(b, "new")
	var addr atomic.Pointer[string]
	var asked atomic.Int64
	addr.Store(new("127.0.0.1"))
	r := nameServer(t, &addr, &asked)
	timer := time.AfterFunc(200*time.Millisecond, func() { addr.Store(new("127.0.0.2")) })
	defer timer.Stop()

	// At speed 20 a maximum age of 10 s is half a second; both servers stay up,
	// so that only age can move the traffic.
	profile := plan(profiles.Target{}, short)
	profile.Connections.Pools = 4
	list, rep := loadURL(t, Options{
		Arrivals: constant(400, 100*time.Millisecond), Clock: results.Clock{Speed: 20}, Profile: profile,
		URL: fmt.Sprintf("http://model.test:%d", port), Dial: (&net.Dialer{Resolver: r}).DialContext, Lookup: r.LookupHost,
	})
	if s := shares(list, rep, 0); s["old"] == 0 {
		t.Errorf("before the move: %v, errors %q", s, rep.Errors)
	}
	// 200 ms are 4 s; every connection is over after 10 s more.
	if s := shares(list, rep, 25*time.Second); s["new"] < 0.99 {
		t.Errorf("long after the move: %v", s)
	}
}

func TestTheProfileNamesTheHeaderOfWhoAnswered(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Served-By", "chat-7d9f")
		w.Header().Set(BackendHeader, "a proxy")
	}))
	defer srv.Close()
	profile := plan(profiles.Target{}, short)
	profile.Connections.Backend = "x-served-by"
	list, rep := loadURL(t, Options{Arrivals: constant(20, time.Millisecond), Profile: profile, URL: srv.URL})
	if s := shares(list, rep, 0); s["chat-7d9f"] != 1 {
		t.Errorf("shares %v, want all of chat-7d9f", s)
	}
}

func TestHTTP2ConnectionsAgeToo(t *testing.T) {
	for _, clear := range []bool{false, true} {
		var mu sync.Mutex
		peers := map[string]int{}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.ProtoMajor != 2 {
				t.Errorf("spoken: %s", r.Proto)
			}
			peers[r.RemoteAddr]++
		}))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		profile := plan(profiles.Target{}, profiles.Timeouts{})
		profile.Connections = profiles.Connections{Pools: 2}
		o := Options{Arrivals: constant(300, 100*time.Millisecond), Clock: results.Clock{Speed: 50}, Profile: profile}
		if clear {
			srv.Config.Protocols = new(http.Protocols)
			srv.Config.Protocols.SetUnencryptedHTTP2(true)
			srv.Start()
			o.HTTP2 = "h2c"
		} else {
			srv.EnableHTTP2 = true
			srv.StartTLS()
			o.TLS = srv.Client().Transport.(*http.Transport).TLSClientConfig
		}
		o.URL = srv.URL
		list, rep := loadURL(t, o)
		for _, r := range list {
			if r.Outcome != results.OK {
				t.Fatalf("clear %v: request %+v, %q", clear, r, rep.Errors)
			}
		}
		// 30 s, 2 pools, 7.5 to 10 s each: 8 to 10 generations. Without age there
		// would be 2 connections.
		if n := len(peers); n < 5 || rep.Client.Connections < n {
			t.Errorf("clear %v: %d peers, %d connections; want 5 and more", clear, n, rep.Client.Connections)
		}
		srv.Close()
	}
}

func TestHeaderFileIsReadAgainWhenItChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	write := func(token string) {
		next := file + ".new"
		if err := os.WriteFile(next, []byte("# secret\nAuthorization: Bearer "+token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	write("first-token")
	h, err := newHeaders(map[string]string{"x-team": "a"}, nil, file)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.forRequest(); got.Get("Authorization") != "Bearer first-token" || got.Get("X-Team") != "a" {
		t.Errorf("headers %v", got)
	}
	write("second-token-which-is-longer")
	h.checked = time.Time{} // a second later
	if got := h.forRequest().Get("Authorization"); got != "Bearer second-token-which-is-longer" {
		t.Errorf("after the change: %q", got)
	}
	if got := h.redact("no first-token, no second-token-which-is-longer"); strings.Contains(got, "token") {
		t.Errorf("redacted: %q", got)
	}
	if _, err := newHeaders(nil, nil, file+".missing"); err == nil {
		t.Error("a missing file is no error")
	}
	if err := os.WriteFile(file, []byte("sk-only-a-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newHeaders(nil, nil, file); err == nil || strings.Contains(err.Error(), "sk-only") || !strings.Contains(err.Error(), ":1:") {
		t.Errorf("a file without a header: %v", err)
	}
}
