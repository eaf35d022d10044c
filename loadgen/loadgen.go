// Package loadgen sends a schedule and records every request. Each request is sent
// at its time, whether or not earlier ones were answered (open loop), over
// connections that reach new replicas.
//
// vegeta's workers send the requests. The schedule, the clock, the connections and
// the measurements are this package's own (pacer, conns, meter), because vegeta's
// hide how long requests wait when a server stalls.
package loadgen

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// Options are everything that a load run needs, including all access to the outside world.
type Options struct {
	Profile *profiles.Profile // from profiles.Parse, Load or Complete
	// Arrivals replace the profile's own schedule, by At; nil = Profile.Arrivals(Seed).
	Arrivals iter.Seq[profiles.Arrival]

	URL  string // where to send, as Endpoint reads it; "" = the profile's target.url
	Seed int64
	// Clock maps run time to wall time. Start is the wall time of arrival time 0 and may be
	// in the future; zero = now.
	Clock results.Clock
	Emit  results.Emit

	Secrets    http.Header // headers that are never shown or written
	HeaderFile string      // the same, from a file that is read again when it changes; "" = none
	TLS        *tls.Config // nil = the system's roots
	HTTP2      string      // "" = as TLS negotiates, "h2c" = in clear text, "off" = never

	// Endpoints reports which pods are ready. In endpoints mode only these are dialed; in
	// the other modes it says which addresses are backends. May be nil.
	Endpoints <-chan results.Endpoints

	MaxInFlight int     // arrivals beyond it are shed, and recorded as shed; 0 = DefaultInFlight
	MaxRate     float64 // arrivals a second of run time beyond it are shed; 0 = no limit
	Shard       int     // sends the arrivals with Index % Shards == Shard
	Shards      int     // 0 = 1
	// Closed, if not 0, makes a closed loop with this many requests in flight: an arrival
	// is sent when an answer comes back, and its scheduled time is ignored.
	Closed int

	// CheckForeign reads the servers' own /metrics before and after, to find out how many
	// requests others sent: Report.Client.ForeignRatio.
	CheckForeign bool

	// OnBackend and OnError get each new entry of the backend and error tables, in order,
	// so that a killed run stays readable. May be nil.
	OnBackend func(i int32, b results.Backend)
	OnError   func(i int32, text string)

	// Dial opens connections; nil = net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Lookup resolves the target's name, to find out whether it has several addresses; nil
	// = the system's resolver.
	Lookup func(ctx context.Context, host string) ([]string, error)

	// tables, if not nil, continue the backend and error tables of earlier runs.
	tables    *tables
	sending   context.Context                       // done: nothing more is sent, the rest goes on; nil = to the end
	closedFor time.Duration                         // a closed loop starts nothing after it; 0 = to the last arrival
	sleep     func(context.Context, time.Time) bool // tests in a bubble of virtual time; nil = sleepUntil
}

// DefaultInFlight is the default limit of requests in flight. A request in flight takes
// about 30 KB, so this many fit into 600 MB.
const DefaultInFlight = 20_000

// Report describes a load run, apart from its records.
type Report struct {
	Client    results.Client
	Backends  []results.Backend // by Request.Backend
	Errors    []string          // by Request.Err
	Aborted   string            // the abort rule that ended it; "" = none did
	StartedAt time.Time         // wall instant of run time 0
	Ended     time.Duration     // run time at the end of the last request
	Requests  int               // arrivals recorded, shed ones too
}

// errAborted is the cause with which the abort rule ends a run.
var errAborted = errors.New("abort rule")

// Run sends the schedule and returns when the last answer has ended. When ctx is done it
// stops sending at once, cancels requests in flight, and returns the report with ctx's
// error. The abort rule does the same, but is not an error; the report says so.
//
// A target that does not answer is not an error either, but a record for each request.
// Errors are options that make no sense, each with what to try.
func Run(ctx context.Context, o Options) (Report, error) {
	r, err := newRun(ctx, o)
	if err != nil {
		return Report{}, err
	}
	return r.run(ctx)
}

// A run is a load test under way.
type run struct {
	o      Options
	m      *meter
	stop   context.CancelCauseFunc
	abort  string
	mode   results.ConnectionMode // of connections
	told   chan struct{}          // closed when the first list of endpoints came
	conns  *conns
	pacer  *pacer
	errs   *table
	backs  *backends
	notes  *notes
	own    bool // the tables are of this run alone: it says what they noted
	wg     sync.WaitGroup
	loaded context.Context
}

func newRun(ctx context.Context, o Options) (*run, error) {
	if o.Clock.Start.IsZero() {
		o.Clock.Start = time.Now()
	}
	if o.Shards == 0 {
		o.Shards = 1
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = DefaultInFlight
	}
	if o.Profile == nil {
		return nil, errors.New("no profile: try profiles.Load(\"spike\")")
	}
	if o.Arrivals == nil {
		o.Arrivals = o.Profile.Arrivals(o.Seed)
	}
	con := o.Profile.Connections
	con.Mode = cmp.Or(con.Mode, results.Realistic)
	con.Pools = cmp.Or(con.Pools, 32)
	con.MaxAge = cmp.Or(con.MaxAge, 10*time.Second)
	con.Backend = cmp.Or(con.Backend, BackendHeader)
	proto, err := newProtocol(o.Profile, uint64(o.Seed))
	if err != nil {
		return nil, err
	}
	u, user, err := target(o.Profile, o.URL, proto)
	if err != nil {
		return nil, err
	}
	if user != nil && o.Secrets.Get("Authorization") == "" {
		o.Secrets = o.Secrets.Clone()
		if o.Secrets == nil {
			o.Secrets = http.Header{}
		}
		maps.Copy(o.Secrets, user)
	}
	if proto.grpc && u.Scheme == "http" {
		o.HTTP2 = "h2c"
	}
	if o.Shard < 0 || o.Shard >= o.Shards {
		return nil, fmt.Errorf("shard %d of %d: not a shard; try 0 to %d", o.Shard, o.Shards, o.Shards-1)
	}
	if !slices.Contains(profiles.ConnectionModes, string(con.Mode)) {
		return nil, fmt.Errorf(
			"connections mode %q: unknown; try one of %s",
			con.Mode,
			strings.Join(profiles.ConnectionModes, ", "),
		)
	}
	if con.Mode == results.ToEndpoints && o.Endpoints == nil {
		return nil, errors.New("connections mode endpoints needs a cluster, to know the ready pods; try mode realistic")
	}
	h, err := newHeaders(o.Profile.Target.Headers, o.Secrets, o.HeaderFile)
	if err != nil {
		return nil, err
	}

	r := &run{o: o}
	r.loaded, r.stop = context.WithCancelCause(ctx)
	wall, limits := o.Clock.Wall, o.Profile.Timeouts
	limits = profiles.Timeouts{
		Connect: wall(
			limits.Connect,
		),
		FirstToken: wall(limits.FirstToken),
		Idle:       wall(limits.Idle),
		Total:      wall(limits.Total),
	}
	h.address(proto.method, u, con.Mode == results.Fresh)
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: limits.Connect}).DialContext
	}
	r.mode = con.Mode
	r.conns = newConns(con.Mode, con.Pools, u, o.HTTP2, wall(con.MaxAge), limits.Connect, dial, o.TLS, uint64(o.Seed))
	if o.tables == nil {
		o.tables, r.own = newTables(o), true
	}
	r.errs, r.backs = o.tables.errs, o.tables.backs
	r.notes = o.tables.notes
	ring := &ring{}
	r.m = &meter{
		backendHeader: con.Backend,
		ctx:           r.loaded, clock: o.Clock, closed: o.Closed > 0, ring: ring, proto: proto, url: u, headers: h,
		conns: r.conns, backends: r.backs, errs: r.errs, cap: int64(o.MaxInFlight), emit: o.Emit,
		timeouts: limits, notes: r.notes, lenient: o.Profile.Target.StreamEnd == "lenient",
		watch: newWatch(rule(o.Profile.Abort), func(why string) {
			r.abort = why
			r.stop(fmt.Errorf("%w: %s", errAborted, why))
		}),
	}
	if o.sleep == nil {
		o.sleep = sleepUntil
	}
	pacing := r.loaded
	if o.sending != nil {
		var halt context.CancelFunc
		pacing, halt = context.WithCancel(r.loaded)
		context.AfterFunc(o.sending, halt)
	}
	r.pacer = &pacer{ctx: pacing, until: o.sleep, clock: o.Clock, ring: ring, feed: r.feed()}
	r.m.lead = &r.pacer.lead
	if o.MaxRate > 0 {
		r.pacer.bucket = bucket{rate: o.MaxRate}
		r.pacer.over = func(a item) { r.m.shed(a, "above the maximum rate") }
	}
	return r, nil
}

// tables are what requests refer to by number.
type tables struct {
	errs  *table
	backs *backends
	notes *notes
}

func newTables(o Options) *tables {
	return &tables{&table{limit: maxErrors, other: otherErrors, added: o.OnError}, &backends{added: o.OnBackend}, &notes{}}
}

// feed makes the schedule in chunks, ahead of time, so that making an arrival (reading a
// trace, drawing a gap) never delays another.
func (r *run) feed() <-chan []item {
	const size = 256
	feed := make(chan []item, 4)
	r.wg.Go(func() {
		defer close(feed)
		chunk := make([]item, 0, size)
		flush := func() bool {
			if len(chunk) == 0 {
				return true
			}
			select {
			case feed <- chunk:
				chunk = make([]item, 0, size)
				return true
			case <-r.loaded.Done():
				return false
			}
		}
		talks := sessions{prompts: r.o.Profile.Prompts}
		for a := range r.o.Arrivals {
			it := talks.item(a)
			if a.Index%r.o.Shards != r.o.Shard {
				continue
			}
			if chunk = append(chunk, it); len(chunk) == size && !flush() {
				return
			}
		}
		flush()
	})
	return feed
}

func (r *run) run(ctx context.Context) (Report, error) {
	o := r.o
	r.sides()
	release := context.AfterFunc(r.loaded, r.conns.interrupt)
	if r.mode == results.ToEndpoints {
		// The first list must be there before the first arrival. If it does not arrive
		// within the time that a connection may take, arrivals fail individually.
		select {
		case <-r.told:
		case <-time.After(max(time.Second, r.m.timeouts.Connect)):
		case <-r.loaded.Done():
		}
	}
	var before census
	if o.CheckForeign {
		// An error means not checked: most servers have no such page.
		before, _ = r.m.take(r.loaded, r.conns.addrs())
	}
	began := time.Now()
	cpu0, measured := cpuTime()

	options := []func(*vegeta.Attacker){vegeta.Client(&http.Client{
		Transport:     r.m,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}), vegeta.MaxBody(0)}
	var pace vegeta.Pacer = r.pacer
	if o.Closed > 0 {
		loop := closedLoop{pacer: r.pacer}
		if o.MaxRate > 0 {
			loop.every = o.Clock.Wall(time.Duration(float64(time.Second) / o.MaxRate))
		}
		if o.closedFor > 0 {
			loop.end = time.Now().Add(o.Clock.Wall(o.closedFor))
		}
		pace = loop
		options = append(options, vegeta.Workers(uint64(o.Closed)), vegeta.MaxWorkers(uint64(o.Closed)))
	}
	// The meter decides what is sent; vegeta only needs something that it can parse, and
	// adds its number.
	targets := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: "http://target/"})
	n := 0
	for range vegeta.NewAttacker(options...).Attack(targets, pace, 0, "") {
		n++
	}
	ended := time.Now()
	var foreignRatio *float64
	if before != nil && ctx.Err() == nil {
		// Behind one address several backends take turns at /metrics too.
		after, err := r.m.take(ctx, r.conns.addrs())
		if ratio, ok := foreign(
			before,
			after,
			&r.m.outcomes,
		); err == nil && ok &&
			(r.mode == results.ToEndpoints || len(r.backs.all()) <= 1) {
			foreignRatio = &ratio
		}
	}
	r.stop(nil)
	release()
	r.wg.Wait()
	r.conns.close()

	if r.own {
		for _, w := range r.notes.warnings(o.Clock.At(ended)) {
			o.Emit(w)
		}
	}
	rep := Report{
		Backends:  r.backs.all(),
		Errors:    r.errs.all(),
		Aborted:   r.abort,
		StartedAt: o.Clock.Start,
		Ended:     o.Clock.At(ended),
		Requests:  n,
		Client: results.Client{
			CPUMeasured: measured, Pacer: pacerName, Connections: int(r.conns.opened.Load()),
			InFlightCap: o.MaxInFlight, MaxInFlight: int(r.m.peak.Load()), Aborted: r.abort,
			ForeignRatio: foreignRatio,
		},
	}
	if cpu1, ok := cpuTime(); ok && measured {
		if began.Before(o.Clock.Start) {
			began = o.Clock.Start
		}
		if wall := ended.Sub(began); wall > 0 {
			rep.Client.CPURatio = float64(cpu1-cpu0) / float64(wall) / float64(runtime.GOMAXPROCS(0))
		}
	}
	return rep, ctx.Err()
}

// sides starts what runs next to the requests until loaded is done: the listener for
// endpoints and the ticker of the abort rule.
func (r *run) sides() {
	host := r.m.url.Hostname()
	lookup := r.o.Lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupHost
	}
	if net.ParseIP(host) == nil && host != "localhost" {
		r.wg.Go(func() {
			if addrs, err := lookup(r.loaded, host); err == nil {
				r.backs.resolved(len(addrs))
			}
		})
	}
	if r.o.Endpoints != nil {
		r.told = make(chan struct{})
		r.wg.Go(func() {
			for first := true; ; {
				select {
				case e, ok := <-r.o.Endpoints:
					if !ok {
						return
					}
					r.backs.told(e)
					if r.mode == results.ToEndpoints {
						r.conns.setPods(e.Ready)
					}
					if first {
						close(r.told)
						first = false
					}
				case <-r.loaded.Done():
					return
				}
			}
		})
	}
	r.wg.Go(func() {
		t := time.NewTicker(max(r.o.Clock.Wall(r.m.watch.slice), time.Millisecond))
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				r.m.watch.tick(r.o.Clock.At(now))
			case <-r.loaded.Done():
				return
			}
		}
	})
}
