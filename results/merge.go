package results

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// Merge unites the shards of one run, which sent arrivals i mod N each. Their
// indices are kept; an arrival that is missing between the first and the last,
// or that two shards have, is an error that names it, joined with the others.
//
// Times of a shard are moved onto the first shard's clock: by the difference
// of their starts, and by its Offset record if it has one (Shard is its place
// in the arguments). What only one load generator can know (profile, stages,
// objectives) is the first's; counts are sums. Records of the cluster are
// taken from all: only one shard should observe. A warning that several shards
// have in the same words is there once. The shards are left as they were, but
// share memory with the result.
func Merge(shards ...*Run) (*Run, error) {
	if len(shards) == 0 {
		return nil, errors.New("merge: no runs")
	}
	out := &Run{Meta: shards[0].Meta, Profile: shards[0].Profile}
	m := &out.Meta
	m.Errors, m.Backends = nil, nil
	m.Client = Client{
		Pacer:        m.Client.Pacer,
		CPUMeasured:  true,
		FloorS:       m.Client.FloorS,
		ForeignRatio: m.Client.ForeignRatio,
	}
	var errs []error
	warnings := make([][]Warning, len(shards))
	names := newTables()
	for k, s := range shards {
		if s.Meta.Profile != m.Profile || s.Meta.Seed != m.Seed || !slices.Equal(s.Meta.Stages, m.Stages) {
			errs = append(errs, fmt.Errorf("merge: %s is not a shard of %s: its profile or seed differs", s.Meta.Run, m.Run))
			continue
		}
		shift := Clock{Start: m.Start, Speed: m.Speed}.At(s.Meta.Start)
		for _, o := range s.Offsets {
			if o.Shard == k {
				shift += o.Offset
			}
		}
		names.add(m, &s.Meta)
		for _, q := range s.Requests {
			out.Requests = append(out.Requests, names.placed(q, shift))
		}
		mergeMeta(m, s.Meta)
		out.mergeRecords(s, shift)
		warnings[k] = make([]Warning, 0, len(s.Warnings))
		for _, w := range s.Warnings {
			w.At += shift
			warnings[k] = append(warnings[k], w)
		}
	}
	slices.SortStableFunc(out.Requests, func(a, b Request) int { return cmp.Compare(a.Arrival, b.Arrival) })
	out.Warnings = unite(warnings)
	return out, errors.Join(append(errs, checkArrivals(out))...)
}

// tables are the errors and backends of a run that others are put together into: where
// each one's own entries went.
type tables struct {
	errorIndex, backendIndex map[string]int32
	errors, backends         []int32 // of the run that was added last
}

func newTables() *tables {
	return &tables{errorIndex: map[string]int32{}, backendIndex: map[string]int32{}}
}

// add puts the entries of another run's tables into m's, each name once.
func (t *tables) add(m, other *Meta) {
	t.errors, t.backends = make([]int32, len(other.Errors)), make([]int32, len(other.Backends))
	for i, text := range other.Errors {
		t.errors[i] = intern(&m.Errors, t.errorIndex, text, text)
	}
	for i, b := range other.Backends {
		t.backends[i] = intern(&m.Backends, t.backendIndex, b.Name, b)
	}
}

// placed is a request of the run that was added last, later by so much, with its error
// and backend as m has them.
func (t *tables) placed(q Request, shift time.Duration) Request {
	q.Scheduled, q.Sent, q.First = moved(q.Scheduled, shift), moved(q.Sent, shift), moved(q.First, shift)
	q.Last, q.Done = moved(q.Last, shift), moved(q.Done, shift)
	q.Err, q.Backend = remap(t.errors, q.Err), remap(t.backends, q.Backend)
	return q
}

func intern[T any](table *[]T, index map[string]int32, key string, v T) int32 {
	i, ok := index[key]
	if !ok {
		i = int32(len(*table))
		index[key] = i
		*table = append(*table, v)
	}
	return i
}

func remap(to []int32, i int32) int32 {
	if i < 0 || int(i) >= len(to) {
		return -1
	}
	return to[i]
}

func moved(d, by time.Duration) time.Duration {
	if !Happened(d) {
		return d
	}
	return d + by
}

// mergeMeta adds a shard's own condition to m: the worst CPU, sums of counts.
func mergeMeta(m *Meta, s Meta) {
	if s.Partial && !m.Partial {
		m.Partial, m.Why = true, s.Why
	}
	m.DurationS = max(m.DurationS, s.DurationS)
	m.Client.CPURatio = max(m.Client.CPURatio, s.Client.CPURatio)
	m.Client.CPUMeasured = m.Client.CPUMeasured && s.Client.CPUMeasured
	m.Client.Connections += s.Client.Connections
	m.Client.InFlightCap += s.Client.InFlightCap
	m.Client.MaxInFlight += s.Client.MaxInFlight
	m.Client.Aborted = cmp.Or(m.Client.Aborted, s.Client.Aborted)
}

func (r *Run) mergeRecords(s *Run, shift time.Duration) {
	for name, data := range s.Cluster {
		if r.Cluster == nil {
			r.Cluster = map[string][]byte{}
		}
		r.Cluster[name] = data
	}
	for _, v := range s.Samples {
		v.At, v.SampledAt = v.At+shift, moved(v.SampledAt, shift)
		r.Samples = append(r.Samples, v)
	}
	for _, v := range s.Pods {
		v.At += shift
		r.Pods = append(r.Pods, v)
	}
	for _, v := range s.Syncs {
		v.At += shift
		r.Syncs = append(r.Syncs, v)
	}
	for _, v := range s.Endpoints {
		v.At += shift
		r.Endpoints = append(r.Endpoints, v)
	}
	for _, v := range s.Events {
		v.At += shift
		r.Events = append(r.Events, v)
	}
	for _, v := range s.Gaps {
		v.From, v.To = v.From+shift, v.To+shift
		r.Gaps = append(r.Gaps, v)
	}
	r.Offsets = append(r.Offsets, s.Offsets...)
	slices.SortStableFunc(r.Samples, func(a, b Sample) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(r.Pods, func(a, b Pod) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(r.Syncs, func(a, b Sync) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(r.Endpoints, func(a, b Endpoints) int { return cmp.Compare(a.At, b.At) })
}

// numbers are what the same warning of two shards differs in.
var numbers = regexp.MustCompile(`\b\d+(\.\d+)?\b`)

// unite returns the warnings of all shards. One that several of them have, but
// for its numbers, is there once, in the words of the first.
func unite(shards [][]Warning) []Warning {
	type words struct {
		id   WarningID
		text string
	}
	var out []Warning
	place, count := map[words]int{}, map[words]int{}
	for _, warnings := range shards {
		earlier, own := maps.Clone(place), map[words]bool{}
		for _, w := range warnings {
			k := words{w.ID, numbers.ReplaceAllString(w.Text, "#")}
			if !own[k] {
				own[k] = true
				count[k]++
			}
			if _, ok := earlier[k]; ok {
				continue
			}
			if _, ok := place[k]; !ok {
				place[k] = len(out)
			}
			out = append(out, w) // a shard may say the same of several moments
		}
	}
	for k, n := range count {
		if w := &out[place[k]]; n > 1 {
			w.Text = fmt.Sprintf("%d of %d load generators report this, the first: %s", n, len(shards), w.Text)
		}
	}
	return out
}

// checkArrivals reports arrivals that are missing or double: of a whole run up
// to the planned number, of a partial one up to the last that came.
func checkArrivals(r *Run) error {
	planned := 0
	for _, st := range r.Meta.Stages {
		planned += st.Arrivals
	}
	var missing, double, firstMissing, firstDouble int
	next := 0
	for _, q := range r.Requests {
		switch {
		case q.Arrival < next:
			if double++; double == 1 {
				firstDouble = q.Arrival
			}
			continue
		case q.Arrival > next:
			if missing == 0 {
				firstMissing = next
			}
			missing += q.Arrival - next
		}
		next = q.Arrival + 1
	}
	if !r.Meta.Partial && next < planned {
		if missing == 0 {
			firstMissing = next
		}
		missing += planned - next
	}
	var errs []error
	if missing > 0 {
		errs = append(
			errs,
			fmt.Errorf(
				"merge: %d arrivals are missing, the first is %d; check that all shards are given",
				missing,
				firstMissing,
			),
		)
	}
	if double > 0 {
		errs = append(
			errs,
			fmt.Errorf(
				"merge: %d arrivals are there twice, the first is %d; check that no shard is given twice",
				double,
				firstDouble,
			),
		)
	}
	return errors.Join(errs...)
}
