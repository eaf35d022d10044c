package fleet

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// Share is the result of one load generator; its index in a slice is its shard.
type Share struct {
	Run  *results.Run // nil = lost
	Name string       // the worker: its pod, or its folder
	Why  string       // why it was lost
	// Ahead is how far its clock is ahead of the coordinator's, ± Error.
	Ahead, Error time.Duration
}

// Merge merges the shares of one run, on the coordinator's clock. Each arrival of p's
// schedule is in the result once, under its own index. What a share lacks (everything, if
// the worker was lost) counts as never sent: shed, with the reason as its error. The run is
// then partial and names the workers. If none finished, because all were told to stop, the
// run ends with the last arrival of any share. A share with arrivals of another shard, or
// outside the schedule, is an error.
func Merge(p *profiles.Profile, seed int64, shares []Share) (*results.Run, error) {
	first := slices.IndexFunc(shares, func(s Share) bool { return s.Run != nil })
	if first < 0 {
		var errs []error
		for k, s := range shares {
			errs = append(errs, fmt.Errorf("worker %d (%s): %s", k, s.Name, s.Why))
		}
		return nil, errors.Join(append([]error{errors.New("fleet: no worker returned its run")}, errs...)...)
	}
	last := lastOf(shares)
	runs, errs := make([]*results.Run, len(shares)), []error(nil)
	var lost []string
	for k, s := range shares {
		r := results.Run{Meta: shares[first].Run.Meta, Profile: shares[first].Run.Profile}
		why := "worker " + s.Name + " was lost: " + s.Why
		if s.Run != nil {
			r = *s.Run
			why = "worker " + s.Name + " did not finish"
			if s.Run.Meta.Why != "" {
				why += ": " + s.Run.Meta.Why
			}
		} else {
			r.Meta.Run, r.Meta.Backends, r.Meta.Errors = s.Name, nil, nil
			r.Meta.Client = results.Client{Pacer: r.Meta.Client.Pacer, CPUMeasured: true}
			r.Meta.Start = r.Meta.Start.Add(s.Ahead - shares[first].Ahead) // the order that it was given
		}
		r.Offsets = []results.Offset{{Shard: k, Offset: shares[0].Ahead - s.Ahead, Error: shares[0].Error + s.Error}}
		added, err := complete(&r, p, seed, Shard{k, len(shares)}, last, why)
		if err != nil {
			errs = append(errs, fmt.Errorf("worker %s: %w", s.Name, err))
		}
		if added > 0 || s.Run == nil {
			lost = append(lost, fmt.Sprintf("%s (%d arrivals were not sent)", why, added))
		}
		runs[k] = &r
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out, err := results.Merge(runs...)
	if err != nil {
		return nil, err
	}
	for _, text := range lost {
		out.Warnings = append(out.Warnings, results.Warning{ID: results.WarnWorkerLost, Text: text})
	}
	if len(lost) > 0 {
		out.Meta.Partial, out.Meta.Why = true, strings.Join(lost, "; ")
	}
	return out, nil
}

// lastOf returns the last arrival that is to be in the merged run: of the
// schedule, unless no worker finished.
func lastOf(shares []Share) int {
	last := 0
	for _, s := range shares {
		if s.Run == nil || !s.Run.Meta.Partial {
			return math.MaxInt
		}
		for _, q := range s.Run.Requests {
			last = max(last, q.Arrival)
		}
	}
	return last
}

// complete adds the arrivals of a shard up to last that r lacks, as never sent because of
// why, and returns their number.
func complete(
	r *results.Run,
	p *profiles.Profile,
	seed int64,
	shard Shard,
	last int,
	why string,
) (added int, err error) {
	have := make(map[int]struct{}, len(r.Requests))
	for _, q := range r.Requests {
		if q.Arrival%shard.N != shard.I {
			return 0, fmt.Errorf("arrival %d does not belong to shard %s", q.Arrival, shard)
		}
		have[q.Arrival] = struct{}{}
	}
	found := 0
	rows := slices.Clone(r.Requests)
	table := slices.Clone(r.Meta.Errors)
	for a := range p.Arrivals(seed) {
		if a.Index%shard.N != shard.I {
			continue
		}
		if _, ok := have[a.Index]; ok {
			found++
			continue
		}
		if a.Index > last {
			continue
		}
		if added++; added == 1 {
			table = append(table, why)
		}
		rows = append(rows, results.Request{
			Arrival: a.Index, Stage: a.Stage, Class: a.Class, Scheduled: a.At, Prompt: a.Prompt,
			Sent: results.NotYet, First: results.NotYet, Last: results.NotYet, Done: results.NotYet,
			Outcome: results.Shed, Err: int32(len(table) - 1), Backend: -1,
		})
	}
	if found < len(have) {
		return added, fmt.Errorf("%d arrivals are not in the schedule of %s with seed %d", len(have)-found, p.Name, seed)
	}
	slices.SortFunc(rows, func(a, b results.Request) int { return a.Arrival - b.Arrival })
	r.Requests, r.Meta.Errors = rows, table
	return added, nil
}

// Emit hands a merged run's rows to a log: the names first, since the rows use
// them. pace is called now and then, and may wait until the log has caught up.
func Emit(r *results.Run, emit results.Emit, pace func()) {
	for i, b := range r.Meta.Backends {
		emit(results.Name{Table: results.BackendTable, Index: int32(i), Text: b.Name, Address: b.Address})
	}
	for i, text := range r.Meta.Errors {
		emit(results.Name{Table: results.ErrorTable, Index: int32(i), Text: text})
	}
	for _, v := range r.Offsets {
		emit(v)
	}
	for _, v := range r.Warnings {
		emit(v)
	}
	for _, v := range r.Gaps {
		emit(v)
	}
	for i, v := range r.Samples {
		if i%1000 == 999 {
			pace()
		}
		emit(v)
	}
	for i, v := range r.Requests {
		if i%1000 == 999 {
			pace()
		}
		emit(v)
	}
}
