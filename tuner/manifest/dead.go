package manifest

import (
	"fmt"
	"math"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Dead is a policy that never takes effect while the size is between min and max.
type Dead struct {
	Path   string // "spec.behavior.scaleUp.policies[1]"
	Up     bool
	Index  int
	Policy hpa.Policy
	Why    string // "2 pods/30s never allows more than 100 %/30s, from 2 to 10 replicas"
}

// DeadPolicies returns the policies that change no decision while the number of
// replicas at the start of a period is between min and max. Of two that always
// say the same, the later one is dead; one policy of each direction stays.
//
// With selectPolicy Max (the largest change) a policy is dead where another one
// of the same period always allows as much, or where another one always allows
// the way to the bound. With Min (the smallest) it is dead where another one of
// the same period never allows more, or where it allows the way to the bound
// itself. Policies of different periods are only compared by the bound, since
// each counts its own past events.
func DeadPolicies(c *hpa.Config) []Dead {
	if !c.Behavior {
		return nil
	}
	return append(dead(c, &c.ScaleUp, true), dead(c, &c.ScaleDown, false)...)
}

// huge is where the controller's int32 arithmetic may overflow; such policies are kept.
const huge = 1_000_000

func dead(c *hpa.Config, r *hpa.Rules, up bool) (out []Dead) {
	if r.Select == hpa.Disabled || c.MaxReplicas > huge || c.MinReplicas < 0 || c.MinReplicas > c.MaxReplicas {
		return nil
	}
	for _, p := range r.Policies {
		if p.Value > huge || p.Value <= 0 {
			return nil
		}
	}
	lo, hi := c.MinReplicas, c.MaxReplicas
	gone := make([]bool, len(r.Policies))
	left := len(r.Policies)
	path := "spec.behavior.scaleDown.policies"
	if up {
		path = "spec.behavior.scaleUp.policies"
	}
	for i := len(r.Policies) - 1; i >= 0; i-- {
		p := r.Policies[i]
		for j, q := range r.Policies {
			if j == i || gone[j] || left == 1 {
				continue
			}
			why := ""
			switch {
			case r.Select == hpa.Max && q.Period == p.Period && atLeast(q, p, lo, hi, up):
				why = fmt.Sprintf("%v never allows more than %v", p, q)
			case r.Select == hpa.Max && reaches(q, lo, hi, up):
				why = fmt.Sprintf("%v always allows the whole change", q)
			case r.Select == hpa.Min && q.Period == p.Period && atLeast(p, q, lo, hi, up):
				why = fmt.Sprintf("%v never allows less than %v", p, q)
			case r.Select == hpa.Min && reaches(p, lo, hi, up):
				why = fmt.Sprintf("%v always allows the whole change", p)
			default:
				continue
			}
			gone[i] = true
			left--
			out = append(
				[]Dead{{fmt.Sprintf("%s[%d]", path, i), up, i, p, fmt.Sprintf("%s, from %d to %d replicas", why, lo, hi)}},
				out...)
			break
		}
	}
	return out
}

// limit is the size that a policy allows if a period started at n replicas; the
// controller's own arithmetic (HPA.md 10 and 21).
func limit(p hpa.Policy, n int32, up bool) int32 {
	switch {
	case up && p.Type == hpa.PodsPolicy:
		return n + p.Value
	case up:
		return int32(min(math.MaxInt32, math.Ceil(float64(n)*(1+float64(p.Value)/100))))
	case p.Type == hpa.PodsPolicy:
		return n - p.Value
	}
	return int32(max(math.MinInt32, float64(n)*(1-float64(p.Value)/100)))
}

// atLeast reports whether p allows at least the change that q does, at every size. Both
// limits grow with the size, but not evenly (a percentage is rounded), so every size is
// tried if there are few.
func atLeast(p, q hpa.Policy, lo, hi int32, up bool) bool {
	step := max(1, (hi-lo)/10_000)
	for n := lo; ; n = min(hi, n+step) {
		a, b := min(hi, limit(p, n, up)), min(hi, limit(q, n, up))
		if !up {
			a, b = -max(lo, limit(p, n, up)), -max(lo, limit(q, n, up))
		}
		if a < b {
			return false
		}
		if n == hi {
			return true
		}
	}
}

// reaches reports whether p allows the bound from every size: from the other bound.
func reaches(p hpa.Policy, lo, hi int32, up bool) bool {
	if up {
		return limit(p, lo, up) >= hi
	}
	return limit(p, hi, up) <= lo
}
