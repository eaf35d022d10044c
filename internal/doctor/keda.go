package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/internal/promql"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// The checks of KEDA: of the HPA that it makes, and of its own loop.

// autoscalers are the objects next to a document that are an HPA or make one.
func (s *subject) autoscalers() []*manifest.Doc {
	return slices.Concat(s.of("HorizontalPodAutoscaler"), s.of("ScaledObject"), s.of("InferenceService"))
}

// madeOf finds the ScaledObject that makes an HPA: the object itself, or the one that the
// HPA names as its owner.
func (f *Facts) madeOf(d *manifest.Doc) *manifest.Doc {
	if d.Scaled != nil {
		return d
	}
	for _, o := range f.beside(d, "ScaledObject") {
		if o.Scaled != nil && owns(o, d) {
			return o
		}
	}
	return nil
}

// owns reports whether an HPA is the one that KEDA makes of a ScaledObject, or will become
// it.
func owns(o, d *manifest.Doc) bool {
	if o.Scaled == nil || d.HPA == nil || d.Scaled != nil {
		return false
	}
	return d.HPA.Name == o.Scaled.HPAName() ||
		slices.ContainsFunc(d.HPA.OwnerReferences, func(r metav1.OwnerReference) bool {
			return r.Kind == "ScaledObject" && r.Name == o.Name
		})
}

// sameTarget says whether two HPAs scale one object.
func sameTarget(a, b *manifest.Doc) bool {
	x, y := a.HPA.Spec.ScaleTargetRef, b.HPA.Spec.ScaleTargetRef
	return x.Kind == y.Kind && x.Name == y.Name && group(x.APIVersion) == group(y.APIVersion)
}

// kedaBeside finds another ScaledObject on the target of an HPA.
func kedaBeside(s *subject) (hits []hit, ok bool) {
	for _, d := range s.autoscalers() {
		if d.HPA == nil || d == s.doc || (d.Scaled == nil) == (s.doc.Scaled == nil) || !sameTarget(d, s.doc) {
			continue
		}
		ok = true
		if owns(d, s.doc) || owns(s.doc, d) {
			continue
		}
		if s.doc.Scaled != nil {
			hits = append(
				hits,
				s.hit(
					"spec.scaleTargetRef",
					"%s scales the same target: both HPAs stop with AmbiguousSelector, and KEDA's admission webhook rejects this "+
						"ScaledObject",
					object(d),
				),
			)
			continue
		}
		hits = append(
			hits,
			s.hit(
				"spec.scaleTargetRef",
				"%s scales the same target, through an HPA that KEDA creates for it: both stop with AmbiguousSelector, and "+
					"KEDA's admission webhook rejects the second one",
				object(d),
			),
		)
	}
	return hits, ok
}

// kedaHit is a hit in the ScaledObject.
func (s *subject) kedaHit(path, format string, args ...any) hit {
	return hit{doc: s.keda, path: path, why: fmt.Sprintf(format, args...)}
}

// loop reports whether KEDA's own loop scales the target to zero or idle and back.
func (s *subject) loop() bool {
	return s.keda != nil && (s.keda.Scaled.Min() == 0 || s.keda.Scaled.Spec.IdleReplicaCount != nil)
}

func cooldown(s *subject) (hits []hit, ok bool) {
	if s.keda == nil || s.m.Startup == 0 {
		return nil, false
	}
	// The cooldown only applies to scaling to zero.
	if c := s.keda.Scaled.Cooldown(); s.loop() && c < s.m.Startup {
		hits = append(
			hits,
			s.kedaHit(
				"spec.cooldownPeriod",
				"cooldownPeriod %v is shorter than a pod's start-up time of %s, so KEDA may remove a pod that is still loading",
				c,
				s.startup,
			),
		)
	}
	return hits, true
}

// ofPods are the prefixes of metrics that the serving pods export themselves.
var ofPods = []string{
	"vllm",
	"sglang",
	"tgi_",
	"nv_inference",
	"nv_gpu",
	"nv_trt_llm",
	"ts_",
	"bentoml",
	"ray_serve",
	"lmdeploy",
	"trtllm",
	"dcgm_fi",
	"container_",
}

// wake finds ScaledObjects that can scale to zero and never back: all their signals are
// exported by the pods, which then do not exist.
func wake(s *subject) ([]hit, bool) {
	if !s.loop() {
		return nil, s.keda != nil
	}
	own := ""
	for i := range s.keda.Scaled.Spec.Triggers {
		t := &s.keda.Scaled.Spec.Triggers[i]
		switch t.Type {
		case "cpu", "memory":
			own = cmp.Or(own, t.Type)
		case "prometheus":
			name, of := OfPods(t)
			if !of {
				return nil, true
			}
			own = name
		default:
			return nil, true // something outside of the pods, or the clock
		}
	}
	return []hit{
		s.kedaHit(
			"spec.triggers",
			"at %d replicas no pod exports %s, so no trigger becomes active and the target never scales up again",
			cmp.Or(idle(s), 0),
			own,
		),
	}, true
}

// OfPods returns what a trigger reads, "" if that is unknown, and whether the pods that it
// scales export all of it.
func OfPods(t *manifest.Trigger) (reads string, is bool) {
	switch t.Type {
	case "cpu", "memory":
		return t.Type, true
	case "prometheus":
		list := promql.Read(t.Metadata["query"])
		if len(list) == 0 {
			return "", false
		}
		return list[0].Name, !slices.ContainsFunc(list, func(x promql.Series) bool { return !exportedByPods(x.Name) })
	}
	return "", false
}

// Outside names the Object and External metrics of an HPA that no serving pod is known to
// export, so that they may exist at zero.
func Outside(c *hpa.Config) (metrics []string) {
	for i := range c.Metrics {
		m := &c.Metrics[i]
		if (m.Source == hpa.Object || m.Source == hpa.External) && !exportedByPods(m.Name) {
			metrics = append(metrics, m.Name)
		}
	}
	return metrics
}

func idle(s *subject) int32 {
	if i := s.keda.Scaled.Spec.IdleReplicaCount; i != nil {
		return *i
	}
	return 0
}

func exportedByPods(name string) bool {
	p := plain(name)
	return slices.ContainsFunc(
		ofPods,
		func(prefix string) bool { return strings.HasPrefix(p, strings.TrimSuffix(plain(prefix), "_")) },
	)
}

// fromZero says how long the first request waits.
func fromZero(s *subject) ([]hit, bool) {
	if !s.loop() || idle(s) > 0 {
		return nil, s.keda != nil
	}
	o := s.keda.Scaled
	return []hit{
		s.kedaHit(
			"spec.minReplicaCount",
			"at zero, the first request waits for KEDA's next poll (pollingInterval %v), for Prometheus' next scrape if a "+
				"trigger queries Prometheus, and for a pod to start%s; requests fail in the meantime unless something holds them",
			o.Polling(),
			prefixed(", which takes ", s.startup, ""),
		),
	}, true
}

// idleSettings finds settings that KEDA passes over.
func idleSettings(s *subject) (hits []hit, ok bool) {
	if s.keda == nil {
		return nil, false
	}
	o := s.keda.Scaled
	if o.Spec.PollingInterval != nil && !o.PollingMatters() {
		hits = append(
			hits,
			s.kedaHit(
				"spec.pollingInterval",
				"pollingInterval has no effect on the size: with minReplicaCount above 0, the HPA reads the triggers itself, "+
					"every 15 s",
			),
		)
	}
	if o.Spec.CooldownPeriod != nil && !s.loop() {
		hits = append(
			hits,
			s.kedaHit(
				"spec.cooldownPeriod",
				"cooldownPeriod has no effect: it applies only to scaling to zero or idle, and minReplicaCount is %d. To slow "+
					"down scaling down, use behavior.scaleDown.stabilizationWindowSeconds",
				o.Min(),
			),
		)
	}
	return hits, true
}

// lostMetric reports what happens while a query returns nothing.
func lostMetric(s *subject) (hits []hit, ok bool) {
	if s.keda == nil {
		return nil, false
	}
	o := s.keda.Scaled
	for i := range o.Spec.Triggers {
		t := &o.Spec.Triggers[i]
		if t.Type != "prometheus" || t.Metadata["ignoreNullValues"] == "false" ||
			strings.Contains(t.Metadata["query"], "absent(") {
			continue
		}
		hits = append(
			hits,
			s.kedaHit(
				fmt.Sprintf("spec.triggers[%d].metadata.query", i),
				"a query without series counts as 0 (ignoreNullValues is true by default): if the metric disappears, is "+
					"renamed or is not scraped, the size falls to %d as if there were no load",
				max(o.Min(), 1),
			),
		)
	}
	if f := o.Spec.Fallback; f != nil && f.Replicas < o.Min() {
		h := s.kedaHit(
			"spec.fallback.replicas",
			"fallback.replicas %d is below minReplicaCount %d, so the fallback has no effect",
			f.Replicas,
			o.Min(),
		)
		hits = append(hits, h)
	}
	return hits, true
}

// manySeries finds queries with one series for each pod: KEDA wants a single one.
//
// Source: kedacore/keda v2.21.0 pkg/scalers/prometheus_scaler.go (ExecutePromQuery).
func manySeries(s *subject) (hits []hit, ok bool) {
	if s.keda == nil || s.keda.Scaled.Max() < 2 {
		return nil, s.keda != nil
	}
	o := s.keda.Scaled
	for i := range o.Spec.Triggers {
		t := &o.Spec.Triggers[i]
		if reads, of := OfPods(t); t.Type == "prometheus" && of && promql.PerPod(t.Metadata["query"]) {
			hits = append(hits, s.kedaHit(
				fmt.Sprintf("spec.triggers[%d].metadata.query", i),
				"the query has one series of %s for each pod: with two pods or more KEDA reports \"returned multiple "+
					"elements\", and the trigger fails",
				reads,
			))
		}
	}
	return hits, true
}

// pausedKEDA finds annotations that stop KEDA.
func pausedKEDA(s *subject) (hits []hit, ok bool) {
	if s.keda == nil {
		return nil, false
	}
	at, paused := s.keda.Scaled.Paused()
	if !paused {
		return nil, true
	}
	what := "the size stays as it is"
	if at >= 0 {
		what = fmt.Sprintf("the size is fixed at %d", at)
	}
	return []hit{
		s.kedaHit(
			"metadata.annotations",
			"an annotation pauses KEDA (autoscaling.keda.sh/paused…): it deletes the HPA, and %s",
			what,
		),
	}, true
}

// kedaSum finds sums that are compared by Value: the size multiplies.
func kedaSum(s *subject) (hits []hit, ok bool) {
	if s.keda == nil {
		return nil, false
	}
	for i, m := range s.config.Metrics {
		t := s.trigger(i)
		if t == nil || t.Type != "prometheus" || m.Source != hpa.External || m.Target.ValueMilli == 0 {
			continue
		}
		list := promql.Read(t.Metadata["query"])
		if len(list) == 1 && list[0].Has("sum", "count") && bare(t.Metadata["query"]) == list[0].Name {
			if k, _ := lookUp(list[0].Name); matches(list[0].Name, "queue", "waiting", "backlog", "pending") && k.kind == gauge {
				continue // queueValue says it
			}
			hits = append(
				hits,
				s.hit(
					metricPath(i),
					"%s is a sum over the pods, and metricType Value multiplies the current size by sum / threshold: more pods "+
						"make the sum larger, and the sum makes the size larger",
					describe(list[0], m),
				),
			)
		}
	}
	return hits, true
}

// renamed finds a ScaledObject whose HPA does not have the name that it should have.
func renamed(s *subject) ([]hit, bool) {
	if s.keda == nil || s.keda.Scaled.Status.HPAName == "" {
		return nil, false
	}
	was, now := s.keda.Scaled.Status.HPAName, s.keda.Scaled.HPAName()
	if was == now {
		return nil, true
	}
	return []hit{
		s.kedaHit(
			"spec.advanced.horizontalPodAutoscalerConfig.name",
			"its status names the HPA %s, but its spec names %s: KEDA deletes the first and creates the second, which "+
				"starts without the recommendations of the first",
			was,
			now,
		),
	}, true
}
