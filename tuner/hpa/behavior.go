package hpa

import (
	"math"
	"time"
)

// normalize limits a proposal if spec.behavior is absent. This is the old path, which differs from
// the new one with default behavior: it has no policies and no events, its scale-up limit is per
// reconcile, and a past recommendation above the current size scales up. Source: horizontal.go,
// normalizeDesiredReplicas, convertDesiredReplicasWithRules.
func (c *Controller) normalize(at time.Duration, current, desired int32, d *Decision) int32 {
	stable, from, slot := c.recs.highest(desired, at, at-c.params.DownscaleStabilization)
	c.recs.add(at, desired, slot)
	d.Stable, d.StableFrom = stable, from
	if stable != desired {
		c.set(AbleToScale, True, ScaleDownStabilized, text{form: formReason})
	} else {
		c.set(AbleToScale, True, ReadyForNewScale, text{form: formReason})
	}
	limit := toInt32(math.Max(2.0*float64(current), 4.0))
	d.Limit, d.Up = limit, true
	low, high, reason := c.spec.MinReplicas, c.spec.MaxReplicas, TooManyReplicas
	if high > limit {
		high, reason = limit, ScaleUpLimit
	}
	switch {
	case stable < low:
		return c.limited(stable, low, TooFewReplicas)
	case stable > high:
		return c.limited(stable, high, reason)
	}
	return c.limited(stable, stable, DesiredWithinRange)
}

// normalizeWithBehavior limits a proposal if spec.behavior is present: it moves from the current
// size into the band between both windows, as far as the policies allow. Source: horizontal.go,
// normalizeDesiredReplicasWithBehaviors.
func (c *Controller) normalizeWithBehavior(at time.Duration, current, desired int32, d *Decision) int32 {
	up, down := time.Duration(0), c.spec.ScaleDown.Window
	if c.spec.ScaleUp.WindowSet {
		up = c.spec.ScaleUp.Window
	}
	if !c.spec.ScaleDown.WindowSet {
		// In whole seconds, because upstream writes the HPA field, an int32 of seconds.
		down = time.Duration(int32(c.params.DownscaleStabilization.Seconds())) * time.Second
	}
	b := c.recs.within(desired, at, at-up, at-down)
	c.recs.add(at, desired, b.slot)
	stable, from := current, at
	if stable < b.up {
		stable, from = b.up, b.upFrom
	}
	if stable > b.down {
		stable, from = b.down, b.downFrom
	}
	if stable == current && stable != desired {
		// The recommendation at the band's edge toward desired is the one that holds the current
		// size.
		if from = b.downFrom; desired > current {
			from = b.upFrom
		}
	}
	d.Stable, d.StableFrom = stable, from
	switch {
	case stable == desired:
		c.set(AbleToScale, True, ReadyForNewScale, text{form: formReason})
	case desired >= current:
		c.set(AbleToScale, True, ScaleUpStabilized, text{form: formReason})
	default:
		c.set(AbleToScale, True, ScaleDownStabilized, text{form: formReason})
	}
	switch {
	case stable > current:
		limit, policy := c.upLimit(at, current)
		limit = max(limit, current)
		d.Limit, d.Policy, d.Up = limit, policy, true
		high, reason := c.spec.MaxReplicas, TooManyReplicas
		if high > limit {
			high, reason = limit, ScaleUpLimit
		}
		if stable > high {
			return c.limited(stable, high, reason)
		}
	case stable < current:
		limit, policy := c.downLimit(at, current)
		limit = min(limit, current)
		d.Limit, d.Policy = limit, policy
		low, reason := c.spec.MinReplicas, TooFewReplicas
		if low < limit {
			low, reason = limit, ScaleDownLimit
		}
		if stable < low {
			return c.limited(stable, low, reason)
		}
	}
	return c.limited(stable, stable, DesiredWithinRange)
}

func (c *Controller) limited(stable, out int32, reason Reason) int32 {
	status := True
	if out == stable {
		status = False
	}
	c.set(ScalingLimited, status, reason, text{form: formReason})
	return out
}

// upLimit returns the largest size that the policies allow, and the policy that sets it. Source:
// horizontal.go, calculateScaleUpLimitWithScalingRules.
func (c *Controller) upLimit(at time.Duration, current int32) (limit int32, policy int8) {
	r := &c.spec.ScaleUp
	if r.Select == Disabled {
		return current, -1
	}
	limit, policy = math.MinInt32, -1
	if r.Select == Min {
		limit = math.MaxInt32
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		start := c.atStart(at, current, p)
		n := start + p.Value
		if p.Type == PercentPolicy {
			// Same expression as upstream: 50 pods plus 10 % is 55.00000000000001, so 56.
			n = toInt32(math.Ceil(float64(start) * (1 + float64(p.Value)/100)))
		}
		if r.Select == Min && n < limit || r.Select != Min && n > limit {
			limit, policy = n, int8(min(i, math.MaxInt8))
		}
	}
	return limit, policy
}

// downLimit returns the smallest size that the policies allow, and the policy that sets it. Source:
// horizontal.go, calculateScaleDownLimitWithBehaviors.
func (c *Controller) downLimit(at time.Duration, current int32) (limit int32, policy int8) {
	r := &c.spec.ScaleDown
	if r.Select == Disabled {
		return current, -1
	}
	limit, policy = math.MaxInt32, -1
	if r.Select == Min {
		limit = math.MinInt32
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		start := c.atStart(at, current, p)
		n := start - p.Value
		if p.Type == PercentPolicy {
			// Same expression as upstream: 10 pods minus 80 % is 1.9999999999999996, so 1.
			n = toInt32(float64(start) * (1 - float64(p.Value)/100))
		}
		if r.Select == Min && n > limit || r.Select != Min && n < limit {
			limit, policy = n, int8(min(i, math.MaxInt8))
		}
	}
	return limit, policy
}

// atStart is the size at the start of a policy's period, counting only the changes that the HPA
// itself made since.
func (c *Controller) atStart(at time.Duration, current int32, p *Policy) int32 {
	return current - c.ups.since(at-p.Period) + c.downs.since(at-p.Period)
}
