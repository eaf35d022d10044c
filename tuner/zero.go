package tuner

import (
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
)

// A size of zero. In the search, MinReplicas of a configuration is the minimum of
// whoever sets it: of a ScaledObject minReplicaCount, where 0 means that KEDA's own
// loop goes to zero while its HPA begins at 1.

// minimum returns a configuration as the search has it: with the ScaledObject's own
// 0 where its HPA says 1.
func minimum(loop *keda.Loop, c hpa.Config) hpa.Config {
	if loop != nil && loop.Min == 0 && c.MinReplicas == 1 {
		c = c.Clone()
		c.MinReplicas = 0
	}
	return c
}

// byMinimum returns the loop for configurations that say themselves whether they go
// to zero.
func byMinimum(loop *keda.Loop) *keda.Loop {
	if loop == nil {
		return nil
	}
	l := *loop
	l.Min = max(l.Min, 1)
	return &l
}

// resumed lifts a pause, under which nothing could be compared, and says so.
func (o *Options) resumed() (notes []string) {
	if o.Loop == nil || !o.Loop.Paused {
		return nil
	}
	l := *o.Loop
	l.Paused = false
	o.Loop = &l
	return []string{"an annotation pauses KEDA (autoscaling.keda.sh/paused…); everything predicted here is for when it is removed"}
}

// asScaled returns the options with the minimum of a ScaledObject in place of its
// HPA's.
func (o Options) asScaled() Options {
	o.Current = minimum(o.Loop, o.Current)
	if o.Recorded != nil {
		r := minimum(o.Fit.Loop, *o.Recorded)
		o.Recorded = &r
	}
	return o
}
