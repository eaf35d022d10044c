package loadgen

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// A Probe is the result of one request that was sent before the load.
type Probe struct {
	Method  string
	URL     string          // where it went, without query
	Model   string          // the model asked for; "" = the protocol has none
	Request results.Request // its instants count from its own sending
	Error   string          // why it failed; "" = it was answered well
	// Models are those that the server lists at /v1/models, read if a request of openai-*
	// failed; nil = not read, or no list.
	Models []string
	// Warnings are what is unusual about the answer, as at the end of a run.
	Warnings []results.Warning
}

// probeIndex is the arrival number of a probe: no load is so long that one of
// its prompts begins like the probe's.
const probeIndex = math.MaxInt32

// SendProbe sends one request like the load's first one, and follows it to its end, within
// the profile's timeouts. A refusal by the target is not an error; errors are options that
// make no sense, and ctx's.
func SendProbe(ctx context.Context, o Options) (Probe, error) {
	p := *o.Profile
	p.Abort = profiles.Abort{ErrorRate: 1, For: time.Hour}
	p.Connections.Mode = results.Fresh
	first := profiles.Arrival{}
	for a := range schedule(o) {
		first = a
		break
	}
	first.Index, first.At = probeIndex, 0
	o.Profile, o.Shard, o.Shards, o.Closed, o.MaxRate, o.CheckForeign = &p, 0, 1, 0, 0, false
	o.Clock = results.Clock{Start: time.Now(), Speed: 1}
	o.Arrivals = func(yield func(profiles.Arrival) bool) { yield(first) }
	o.OnBackend, o.OnError, o.tables = nil, nil, nil
	var mu sync.Mutex
	var out Probe
	o.Emit = func(r results.Record) {
		mu.Lock()
		defer mu.Unlock()
		switch r := r.(type) {
		case results.Request:
			out.Request = r
		case results.Warning:
			out.Warnings = append(out.Warnings, r)
		}
	}
	r, err := newRun(ctx, o)
	if err != nil {
		return Probe{}, err
	}
	rep, err := r.run(ctx)
	out.Method = r.m.proto.method
	u := *r.m.url
	u.RawQuery = ""
	out.URL = u.String()
	if r.m.proto.name != "http" && r.m.proto.name != "bentoml" {
		out.Model = cmp.Or(p.Target.Model, "default")
	}
	if out.Request.Err >= 0 && int(out.Request.Err) < len(rep.Errors) {
		out.Error = rep.Errors[out.Request.Err]
	}
	if out.Error != "" && r.m.proto.events == openaiStream && out.Request.Outcome != results.Connect && err == nil {
		out.Models = r.m.models(ctx)
	}
	return out, err
}

// schedule is the schedule of a run.
func schedule(o Options) iter.Seq[profiles.Arrival] {
	if o.Arrivals != nil {
		return o.Arrivals
	}
	return o.Profile.Arrivals(o.Seed)
}

// models asks the server for its models; nil if it does not say.
func (m *meter) models(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	u := *m.url
	base := u.Path
	for _, end := range []string{"/chat/completions", "/completions"} {
		base = strings.TrimSuffix(base, end)
	}
	if base == m.url.Path { // a path of its own: the list stands where it always does
		base = "/v1"
	}
	u.Path, u.RawPath, u.RawQuery = base+"/models", "", ""
	lane := m.conns.probe("")
	defer lane.CloseIdleConnections()
	resp, err := lane.RoundTrip(
		(&http.Request{Method: http.MethodGet, URL: &u, Host: m.headers.host, Header: m.headers.forRequest()}).WithContext(
			ctx,
		),
	)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &list) != nil {
		return nil
	}
	var names []string
	for _, d := range list.Data {
		if d.ID != "" && len(d.ID) < 200 {
			names = append(names, strings.ToValidUTF8(d.ID, ""))
		}
	}
	slices.Sort(names)
	return names
}

// Hopeless reports whether the load would fail like the probe, whatever its rate: nothing
// listens there, or the server refuses the request itself. A timeout, a server error or a
// full queue may be temporary.
func (p Probe) Hopeless() bool {
	code := p.Request.Code
	switch p.Request.Outcome {
	case results.OK:
		return false
	case results.Connect:
		return true
	}
	return code >= 300 && code < 500 && code != http.StatusRequestTimeout && code != http.StatusTooEarly &&
		code != http.StatusTooManyRequests
}

// String is the probe in a line: where it went, and what came back.
//
//	POST http://h/v1/chat/completions: 200, model m, first token after 102 ms, all of 5 tokens after 189 ms
//	POST http://h/v1/chat/completions: HTTP 404: The model `default` does not exist.
func (p Probe) String() string {
	head := p.Method + " " + p.URL + ": "
	if p.Error != "" {
		if u, err := url.Parse(p.URL); err == nil && u.Host != "" { // the addresses of many requests are folded; here is one
			return head + strings.ReplaceAll(p.Error, foldedAddress, u.Host)
		}
		return head + p.Error
	}
	q := p.Request
	parts := []string{fmt.Sprint(q.Code)}
	if p.Model != "" {
		parts = append(parts, "model "+p.Model)
	}
	if results.Happened(q.First) {
		parts = append(parts, "first token after "+brief(q.First-q.Sent))
	}
	whole := "answered after "
	if q.TokensFrom == results.TokensUsage {
		whole = fmt.Sprintf("all of %d tokens after ", q.Tokens)
	}
	return head + strings.Join(append(parts, whole+brief(q.Done-q.Sent)), ", ")
}

// brief prints a duration with three digits.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	default:
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
}
