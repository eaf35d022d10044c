package fit

import (
	"math"

	"github.com/hpatune/hpatune/results"
)

const (
	// lucks is how many replays a recording is compared with if one is not enough.
	lucks = 9
	// luckLeast is the smallest share of rescales that must be matched, however much the
	// replays differ. luckHours is how far replica-hours may be off if the recorded hours lie
	// within the range of the replays.
	luckLeast = 0.4
	luckHours = 0.2
	// branches is how many replays a recording is compared with if lucks do not do, and
	// branchLeast how many of them must pass by themselves: the model says that one such run in
	// ten is like the recorded one.
	branches    = 30
	branchLeast = 3
	// luckSlack allows for the difference that a replay's steps make between equal hours.
	luckSlack = 0.01
)

// byLuck judges the recording as if it were one more replay. It passes if the replays match
// its rescales as well as they match each other's, and if its replica-hours are within 10 % of
// their median or within their range. single is the comparison with the first replay alone;
// its figures are kept, except for the medians.
func (c *comparison) byLuck(syncs []results.Sync, plays [][]float64, single SelfReplay) SelfReplay {
	recorded, rescales := recordedSizes(syncs, len(plays[0]), c.step), rescalesOf(syncs, c.step)
	met := func(size []float64, at []rescale, skip int) (share, hours float64) {
		var shares, errors []float64
		for i, p := range plays {
			if i == skip {
				continue
			}
			r := c.compare(size, at, p)
			if r.Rescales > 0 {
				shares = append(shares, float64(r.RescalesMatched)/float64(r.Rescales))
			}
			if r.ReplicaHoursError != nil {
				errors = append(errors, *r.ReplicaHoursError)
			}
		}
		return median(shares), median(errors)
	}
	share, hours := met(recorded, rescales, -1)
	least := 1.0
	lo, hi := hours, hours // how far the hours of the others are from those of one replay
	for i, p := range plays {
		s, h := met(p, rescalesIn(p), i)
		if !math.IsNaN(s) {
			least = min(least, s)
		}
		lo, hi = min(lo, h), max(hi, h)
	}
	out := single
	out.RescalesMatched = int(math.Round(share * float64(out.Rescales)))
	out.RescalesNeeded = min(out.RescalesNeeded, int(math.Ceil(max(luckLeast, least)*float64(out.Rescales)-1e-9)))
	out.Verdict = SelfPass
	if out.RescalesMatched < out.RescalesNeeded {
		out.Verdict = SelfFail
	}
	if out.ReplicaHoursError != nil {
		out.ReplicaHoursError = &hours
		if e := math.Abs(hours); e > luckHours || e > 0.1 && (hours < lo-luckSlack || hours > hi+luckSlack) {
			out.Verdict = SelfFail
		}
	}
	return out
}

// branch judges a recording that byLuck refused, and completes s. Near saturation one request
// more in a queue may cross a threshold, and all that follows then differs: the replays come in
// groups, and their median says nothing about a recording that went the way of the smaller one.
// So it also passes if at least branchLeast replays pass by themselves, by the same test as a
// single one. It fails if all replays go one way and it went another. near holds the indices of
// the replays that pass if they decided; the figures of s are then theirs.
func (c *comparison) branch(syncs []results.Sync, plays [][]float64, s *SelfReplay) (near []int) {
	recorded, rescales := recordedSizes(syncs, len(plays[0]), c.step), rescalesOf(syncs, c.step)
	var matched, hours, apart []float64
	for i, p := range plays {
		r := c.compare(recorded, rescales, p)
		if r.Verdict != SelfPass {
			continue
		}
		near = append(near, i)
		matched, apart = append(matched, float64(r.RescalesMatched)), append(apart, *r.MeanAbsReplicas)
		if r.ReplicaHoursError != nil {
			hours = append(hours, *r.ReplicaHoursError)
		}
	}
	s.Replays, s.ReplaysMatched = len(plays), len(near)
	if s.Verdict == SelfPass || len(near) < branchLeast {
		return nil
	}
	s.Verdict, s.RescalesMatched, s.RescalesNeeded = SelfPass, int(math.Round(median(matched))), needed(s.Rescales)
	d := median(apart)
	s.MeanAbsReplicas = &d
	if len(hours) > 0 {
		h := median(hours)
		s.ReplicaHoursError = &h
	}
	return near
}
