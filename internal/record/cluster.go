package record

import (
	"context"
	"fmt"
	"maps"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/results"
)

// Cluster is the bed of run --hpa and run --target: a workload in a cluster.
// Look makes one.
type Cluster struct {
	Cluster     *kube.Cluster
	Subject     *kube.Subject
	Description kube.Description
	Kind        results.TargetKind // of results.Target: hpa, fixed
	URL         string

	Throttling bool
	Prometheus *observer.Prometheus // nil = none
	Queries    []observer.Query     // of Prometheus', those that were asked for by --promql
	Scrape     *observer.Scrape     // of the pods' own metrics; nil = none

	// What the run changes and restores at its end: the HPA's spec, the spec of the
	// ScaledObject that makes the HPA, or a size; nil and 0 = nothing.
	Apply       *autoscalingv2.HorizontalPodAutoscalerSpec
	ApplyScaled map[string]any
	Replicas    int32
	// Hold was taken by the caller, for several runs, and the caller releases it; nil = the
	// run takes its own if it changes something or Lease is set.
	Hold *Hold
	// Lease takes the target's Lease even if nothing is changed: a fleet adds a Job to the
	// cluster.
	Lease bool

	own     *Hold
	options observer.Options
}

// clusterLead is how long before its first arrival a run starts to watch: enough to read
// every list and every metric once.
const clusterLead = 3 * time.Second

// readyWithin: a model of some gigabytes takes this long to start.
const readyWithin = 10 * time.Minute

// Prepare takes the Lease and makes the changes.
func (b *Cluster) Prepare(ctx context.Context, p *Plan) (Timing, error) {
	timing := Timing{clusterLead, 1}
	b.options = observer.Options{Throttling: b.Throttling}
	hold := b.Hold
	if hold == nil && (b.Apply != nil || b.ApplyScaled != nil || b.Replicas > 0 || b.Lease) {
		var err error
		if hold, err = Take(ctx, b.Cluster, b.Subject, p.Dir); err != nil {
			return timing, err
		}
		b.own = hold
	}
	if b.Apply != nil || b.ApplyScaled != nil {
		hold.changed = true
		if err := b.apply(ctx, hold.run); err != nil {
			return timing, err
		}
	}
	if b.Replicas > 0 {
		hold.changed = true
		if err := b.Cluster.FixReplicas(ctx, b.Subject, b.Replicas, hold.run); err != nil {
			return timing, err
		}
		size := b.Replicas
		b.options.KeepReplicas = &size
		ready, cancel := context.WithTimeout(ctx, readyWithin)
		defer cancel()
		if err := b.Cluster.WaitReady(ready, b.Subject, size); err != nil {
			return timing, err
		}
		p.say("at %s:", figure.Many(int(size), "replica"))
	}
	return timing, nil
}

// apply changes the HPA, or the ScaledObject that makes it, and describes the subject
// again.
func (b *Cluster) apply(ctx context.Context, run string) error {
	var stored *autoscalingv2.HorizontalPodAutoscalerSpec
	var err error
	if b.ApplyScaled != nil {
		stored, err = b.Cluster.ApplyScaled(ctx, b.Subject, b.ApplyScaled, run)
	} else {
		stored, err = b.Cluster.ApplyHPA(ctx, b.Subject, *b.Apply, run)
	}
	if err != nil {
		return err
	}
	b.options.KeepSpec = stored
	b.Subject.HPA.Spec = *stored
	now, err := b.Cluster.Describe(ctx, b.Subject)
	if err != nil {
		return err
	}
	now.HPA = b.Description.HPA // with what flags say of the controller
	now.Files[kube.OriginalFile] = b.Description.Files["hpa.yaml"]
	if b.ApplyScaled != nil {
		now.Files[kube.ScaledOriginalFile] = b.Description.Files["scaledobject.yaml"]
	}
	b.Description = now
	return nil
}

// Open says what is loaded, and watches it.
func (b *Cluster) Open(s *Session) (Scene, error) {
	m := s.Meta
	m.Target.Kind, m.Target.URL = b.Kind, RedactURL(b.URL)
	m.Queries = named(b.Queries)
	m.Workload, m.HPA = b.Description.Workload, b.Description.HPA
	maps.Copy(m.Context, b.Description.Context)
	o := b.options
	o.File = func(name string, data []byte) { s.File(name, data) }
	k := observer.NewKube(b.Cluster, b.Subject, s.Clock, o)
	sources := []observer.Source{k}
	if b.Prometheus != nil {
		prom := *b.Prometheus
		prom.Clock = s.Clock
		sources = append(sources, &prom)
	}
	if b.Scrape != nil {
		scrape := *b.Scrape
		scrape.Clock, scrape.Pods = s.Clock, func() []observer.Scraped { return k.Scraped(scrape.Page) }
		sources = append(sources, &scrape)
	}
	return Scene{
		URL: b.URL, Files: b.Description.Files, Answered: k.Answered,
		Watch: func(ctx context.Context, emit results.Emit) error {
			if err := observer.Watch(ctx, emit, sources...); err != nil {
				return fmt.Errorf("observer: %w", err)
			}
			return nil
		},
	}, nil
}

// PutBack restores what Prepare changed, and releases the Lease unless it is the caller's.
func (b *Cluster) PutBack(ctx context.Context, p *Plan) error {
	hold := b.own
	if hold == nil {
		return nil
	}
	b.own = nil
	return hold.PutBack(ctx, p.Say)
}

// named are queries by the names of their samples, those that name themselves left out.
func named(queries []observer.Query) map[string]string {
	var out map[string]string
	for _, q := range queries {
		if out == nil {
			out = map[string]string{}
		}
		if q.Name != q.PromQL {
			out[q.Name] = secrets.Text(q.PromQL)
		}
	}
	return out
}
