package fit

import (
	"slices"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// patienceOf returns the client's timeouts, to the end and to the first token: from the
// profile as used, or, without one, from the requests that timed out. 0 = no timeout.
func patienceOf(run *results.Run, streams bool) (total, first time.Duration) {
	p, err := profiles.Parse("profile.yaml", run.Profile, nil)
	if err != nil && p == nil {
		return timedOut(run), 0
	}
	if streams || p.Timeouts.Total == 0 {
		first = p.Timeouts.FirstToken
	}
	return p.Timeouts.Total, first
}

// timedOut returns how long requests lasted that timed out: the median, 0 if none did.
func timedOut(run *results.Run) time.Duration {
	var d []time.Duration
	for i := range run.Requests {
		r := &run.Requests[i]
		if r.Outcome == results.Timeout && results.Happened(r.Sent) && results.Happened(r.Done) {
			d = append(d, r.Done-r.Scheduled)
		}
	}
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// queueOf returns how many requests fit in a replica's queue. It looks at the requests that
// were in the replica whenever it rejected one at once (429): the median, minus its slots.
// 0 = no rejection was seen.
func queueOf(l *log, slots int) (int, notes) {
	var n notes
	var inside []int
	for i := range l.run.Requests {
		r := &l.run.Requests[i]
		if r.Outcome != results.HTTP429 || !results.Happened(r.Sent) {
			continue
		}
		for k := range l.servers {
			if b := l.servers[k].backend; b >= 0 && b == int(r.Backend) || !l.visible {
				inside = append(inside, l.insideAt(k, r.Sent.Seconds())/l.sharing(r.Sent.Seconds()))
			}
		}
	}
	if len(inside) == 0 {
		return 0, n
	}
	slices.Sort(inside)
	places := max(1, inside[len(inside)/2]-slots)
	n.quality(
		"queue",
		float64(places),
		len(inside),
		"places in a replica's queue, from the requests inside when it rejected one",
	)
	return places, n
}
