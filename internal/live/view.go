package live

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
)

// columns is how many steps of history a view keeps, whatever the run's length:
// more than a wide terminal has.
const columns = 240

// view is the state behind every drawing. It is not safe for concurrent use.
type view struct {
	o     Options
	step  time.Duration // of a column, run time; at least a frame of wall time
	steps []column
	since column // since the last plain line
	from  time.Duration

	total                  counts
	ready, pods, desired   int
	synced                 bool // a reconcile was seen; desired is the number of pods until then
	phases                 map[string]results.PodPhase
	warning                string
	limit                  limit
	rescaled               string // the last rescale, in words
	rescaledAt             time.Duration
	haveReplicas, haveTTFT bool
}

// column is what happened in one step. Requests are counted when they end.
type column struct {
	counts
	ttft, e2e      results.Slice
	ready, desired float64 // the last known; -1 = none yet
}

type counts struct{ ok, failed, shed, refused int }

func (c *counts) add(o results.Outcome) {
	switch {
	case o == results.OK:
		c.ok++
	case o == results.Shed:
		c.shed++
	case o == results.HTTP429:
		c.refused++
		c.failed++
	default:
		c.failed++
	}
}

func newView(o Options) view {
	v := view{
		o:      o,
		step:   max(o.Duration/columns, time.Duration(float64(frameEvery)*cmp.Or(o.Clock.Speed, 1))),
		phases: map[string]results.PodPhase{},
	}
	v.steps = make([]column, int(o.Duration/v.step)+1)
	for i := range v.steps {
		v.steps[i].ready, v.steps[i].desired = -1, -1
	}
	v.limit = firstLatencyLimit(o.Objectives)
	return v
}

// at returns the column of a run time, nil before the run; what comes after the
// profile's end (the last answers) falls into the last one.
func (v *view) at(t time.Duration) *column {
	if t < 0 {
		return nil
	}
	return &v.steps[min(int(t/v.step), len(v.steps)-1)]
}

func (v *view) add(r results.Record) {
	switch r := r.(type) {
	case results.Request:
		v.request(r)
	case results.Pod:
		v.pod(r)
	case results.Sync:
		v.desired, v.synced, v.haveReplicas = int(r.Replicas), true, true
		if r.Rescaled() {
			v.rescaled, v.rescaledAt = fmt.Sprintf("%d → %d: %s", r.Spec, r.Replicas, r.Reason), r.At
		}
		v.mark(r.At)
	case results.Warning:
		v.warning = r.Text
	}
}

func (v *view) request(r results.Request) {
	v.total.add(r.Outcome)
	v.since.counts.add(r.Outcome)
	c := v.at(r.Done)
	if !results.Happened(r.Done) {
		c = v.at(r.Scheduled)
	}
	if c == nil {
		return
	}
	c.counts.add(r.Outcome)
	if r.Outcome != results.OK {
		return
	}
	if d, ok := e2e.OfRequest(&r); ok {
		c.e2e.Add(d, 1)
		v.since.e2e.Add(d, 1)
	}
	if d, ok := ttft.OfRequest(&r); ok {
		v.haveTTFT = true
		c.ttft.Add(d, 1)
		v.since.ttft.Add(d, 1)
	}
}

func (v *view) pod(p results.Pod) {
	v.haveReplicas = true
	if p.Phase == results.PodGone {
		delete(v.phases, p.Name)
	} else if _, known := v.phases[p.Name]; !known || p.Phase != results.PodFirstAnswer &&
		p.Phase != results.PodPulled && p.Phase != results.PodNodeAdded {
		v.phases[p.Name] = p.Phase // these three may be reported after the pod is ready
	}
	v.ready, v.pods = 0, len(v.phases)
	for _, phase := range v.phases {
		if phase == results.PodReady {
			v.ready++
		}
	}
	if !v.synced {
		v.desired = v.pods
	}
	v.mark(p.At)
}

// mark records the replicas in the column of t.
func (v *view) mark(t time.Duration) {
	if c := v.at(max(t, 0)); c != nil {
		c.ready, c.desired = float64(v.ready), float64(v.desired)
	}
}

// stage returns the name of the stage at t, and the planned rate then.
func (v *view) stage(t time.Duration) (name string, rate float64) {
	for _, s := range v.o.Stages {
		if t.Seconds() >= s.FromS && t.Seconds() < s.ToS {
			name, rate = s.Name, float64(s.Arrivals)/(s.ToS-s.FromS)
			break
		}
	}
	if v.o.Rate != nil {
		rate = v.o.Rate(t)
	}
	return name, rate
}

// line is the plain form: what happened since the previous line.
func (v *view) line(now time.Duration) string {
	var b strings.Builder
	name, rate := v.stage(now)
	if now < v.o.Duration {
		fmt.Fprintf(&b, "%s of %s  %s", short(now), short(v.o.Duration), cmp.Or(name, "—"))
		fmt.Fprintf(&b, "  offered %s/s", figure(rate))
	} else {
		fmt.Fprintf(&b, "%s of %s  last answers", short(v.o.Duration), short(v.o.Duration))
	}
	if span := (now - v.from).Seconds(); span > 0 {
		fmt.Fprintf(&b, "  answered %s/s", figure(float64(v.since.ok)/span))
	}
	fmt.Fprintf(&b, "  e2e p50/p95/p99 %s", quantiles(v.since.e2e, 0.5, 0.95, 0.99))
	if v.haveTTFT {
		fmt.Fprintf(&b, "  ttft p95 %s", quantiles(v.since.ttft, 0.95))
	}
	if v.haveReplicas {
		fmt.Fprintf(&b, "  replicas %d ready of %d", v.ready, v.desired)
	}
	if v.total.failed > 0 || v.total.shed > 0 {
		fmt.Fprintf(&b, "  failed %d (429: %d)  shed %d", v.total.failed, v.total.refused, v.total.shed)
	}
	if left := v.o.Duration - now; left > 0 {
		fmt.Fprintf(&b, "  left %s", short(v.o.Clock.Wall(left)))
	}
	v.since, v.from = column{}, now
	return b.String()
}

// quantiles prints quantiles of a slice, "—" where nothing was answered.
func quantiles(s results.Slice, qs ...float64) string {
	var out []string
	for _, q := range qs {
		if d, ok := s.Quantile(q); ok {
			out = append(out, latency(d))
		} else {
			out = append(out, "—")
		}
	}
	return strings.Join(out, "/")
}

// latency prints a duration: 9.5ms, 412ms, 1.2s, 12.4s, 2m05s. No more digits
// than a Slice has, and no blanks: three of them stand in one column.
func latency(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 0.00995:
		return fmt.Sprintf("%.1fms", s*1e3)
	case s < 0.9995:
		return fmt.Sprintf("%.0fms", s*1e3)
	case s < 99.95:
		return fmt.Sprintf("%.1fs", s)
	}
	return short(d)
}

// short prints a duration in whole seconds: 45s, 2m05s, 1h02m.
func short(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
}

// figure prints a rate with as many digits as matter.
func figure(x float64) string {
	switch {
	case x < 9.95:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
