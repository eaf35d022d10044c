package hpa

import "time"

// Memory is what the controller and the HPA's status carry from one reconcile to the next.
// Recommendations and events are lost when the controller restarts; the rest is stored in the API.
type Memory struct {
	Recommendations []Recommendation // none: the first Step begins the list with the present size
	ScaleUp         []ScaleEvent
	ScaleDown       []ScaleEvent
	Conditions      []StatusCondition // at most one of each type
	CurrentReplicas int32             // status.currentReplicas
	DesiredReplicas int32             // status.desiredReplicas
}

// Recommendation is a proposal from before stabilization and limits.
type Recommendation struct {
	At       time.Duration
	Replicas int32
}

// ScaleEvent is a rescale by the HPA itself. Change is positive in both lists.
type ScaleEvent struct {
	At       time.Duration
	Change   int32
	Outdated bool // may be overwritten; counting goes by At alone
}

// StatusCondition is a condition in plain words.
type StatusCondition struct {
	Type            ConditionType
	Status          Status
	Reason, Message string
}

// recommendations is an unordered list that reuses slots, like upstream's: the order matters when
// someone edits a window. It is kept as two slices so that a long window is scanned quickly.
type recommendations struct {
	n []int32
	t []time.Duration
}

func (r *recommendations) add(at time.Duration, n int32, slot int) {
	if slot >= 0 {
		r.n[slot], r.t[slot] = n, at
		return
	}
	r.n, r.t = append(r.n, n), append(r.t, at)
}

// highest returns the largest of desired and every recommendation not older than cut, the time of
// that recommendation, and the index of the last older one (−1: none). Source: horizontal.go,
// stabilizeRecommendation.
func (r *recommendations) highest(desired int32, at, cut time.Duration) (most int32, from time.Duration, slot int) {
	most, from, slot = desired, at, -1
	ns := r.n[:len(r.t)]
	for i, t := range r.t {
		if t < cut {
			slot = i
		} else if ns[i] > most {
			most, from = ns[i], t
		}
	}
	return most, from, slot
}

// band is the range that two stabilization windows allow: the size may not rise above the lowest
// recommendation of up, nor fall below the highest of down.
type band struct {
	up, down         int32
	upFrom, downFrom time.Duration
	slot             int
}

// within returns the band around desired. Both cuts are exclusive, and only an entry older than
// both may be overwritten: an entry exactly at the edge is neither counted nor replaced. Source:
// horizontal.go, stabilizeRecommendationWithBehaviors.
func (r *recommendations) within(desired int32, at, upCut, downCut time.Duration) band {
	b := band{desired, desired, at, at, -1}
	ns := r.n[:len(r.t)]
	for i, t := range r.t {
		if t > downCut {
			if ns[i] > b.down {
				b.down, b.downFrom = ns[i], t
			}
			if t > upCut && ns[i] < b.up {
				b.up, b.upFrom = ns[i], t
			}
		} else if t > upCut {
			if ns[i] < b.up {
				b.up, b.upFrom = ns[i], t
			}
		} else if t < downCut && t < upCut {
			b.slot = i
		}
	}
	return b
}

// changes is one direction's list of rescales.
type changes []ScaleEvent

// since sums the changes after cut, exclusively.
// Source: horizontal.go, getReplicasChangePerPeriod.
func (c changes) since(cut time.Duration) int32 {
	var n int32
	for i := range c {
		if c[i].At > cut {
			n += c[i].Change
		}
	}
	return n
}

// store marks entries older than the longest policy period as outdated, then overwrites the last
// outdated entry, or appends. A mark is never removed. Source: horizontal.go, storeScaleEvent,
// markScaleEventsOutdated.
func (c *changes) store(at time.Duration, change int32, longest time.Duration) {
	slot, cut := -1, at-longest
	for i := range *c {
		e := &(*c)[i]
		if e.At < cut {
			e.Outdated = true
		}
		if e.Outdated {
			slot = i
		}
	}
	if slot >= 0 {
		(*c)[slot] = ScaleEvent{At: at, Change: change}
		return
	}
	*c = append(*c, ScaleEvent{At: at, Change: change})
}

func (r *Rules) longest() time.Duration {
	var longest time.Duration
	for i := range r.Policies {
		longest = max(longest, r.Policies[i].Period)
	}
	return longest
}

// Repeat steps through n reconciles, spread evenly between two instants, that saw what o shows and
// did not change the size. A controller in a cluster writes nothing then, so a recording has no
// trace of them, but their proposals still count in the windows. A step in which the core would
// rescale is undone. Repeat returns how many steps remained.
func (c *Controller) Repeat(o *Observation, from, to time.Duration, n int) int {
	var d Decision
	again := *o
	again.Spec = nil
	for j := range n {
		again.At = from + (to-from)*time.Duration(j+1)/time.Duration(n+1)
		before := c.Memory()
		if c.Step(&again, &d); d.Replicas != o.SpecReplicas && c.Remember(before) != nil {
			return j
		}
	}
	return n
}
