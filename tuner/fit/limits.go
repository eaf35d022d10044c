package fit

import (
	"slices"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// patience takes the client's time-outs from the profile as it was used; without
// one, from the requests that ran into them.
func (f *fitting) patience(streams bool) {
	p, err := profiles.Parse("profile.yaml", f.run.Profile, nil)
	if err != nil && p == nil {
		if seen := f.timedOut(); seen > 0 {
			f.w.Service.Timeout = seen
		}
		return
	}
	f.w.Service.Timeout = p.Timeouts.Total
	if streams || f.w.Service.Timeout == 0 {
		f.w.Service.FirstToken = p.Timeouts.FirstToken
	}
}

// timedOut is how long the requests lasted that timed out: their median, 0 if
// none did.
func (f *fitting) timedOut() time.Duration {
	var d []time.Duration
	for i := range f.run.Requests {
		r := &f.run.Requests[i]
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

// refusals takes the queue's length from the requests that were refused at once.
func (f *fitting) refusals(slots int) {
	var inside []int
	for i := range f.run.Requests {
		r := &f.run.Requests[i]
		if r.Outcome != results.HTTP429 || !results.Happened(r.Sent) {
			continue
		}
		for k := range f.servers {
			if b := f.servers[k].backend; b >= 0 && b == int(r.Backend) || !f.visible {
				inside = append(inside, f.insideAt(k, r.Sent.Seconds())/f.sharing(r.Sent.Seconds()))
			}
		}
	}
	if len(inside) == 0 {
		return
	}
	slices.Sort(inside)
	f.w.Service.Queue = max(1, inside[len(inside)/2]-slots)
	f.quality("queue", float64(f.w.Service.Queue), len(inside), "places in a replica's queue, from what was inside when it refused")
}

func (f *fitting) insideAt(server int, at float64) int {
	n := 0
	for _, i := range f.servers[server].calls {
		if c := &f.served[i]; c.sent > at {
			break
		} else if c.done > at {
			n++
		}
	}
	return n
}
