package record

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/manifests"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// ClusterAsk is the part of an Ask about a workload in a cluster.
type ClusterAsk struct {
	Kube             kube.Options
	Apply            bool     // apply the HPA of Ask.Filename for this run
	Fix              []int    // one run at each of these sizes, of a target without an HPA
	Prometheus       string   // to record series from: a URL, or NAMESPACE/SERVICE:PORT
	PrometheusConfig string   // a file in http_config form; "" = no credentials
	PromQL           []string // NAME=EXPRESSION
	Controller       string   // see recorded.ControllerFlags
	Throttling       bool     // read the kubelets
}

// cluster is the bed of a run, and what to apply for it.
type cluster struct {
	bed *Cluster
	applied
}

// applied is what replaces the live objects during a run.
type applied struct {
	spec   *autoscalingv2.HorizontalPodAutoscalerSpec // of the HPA; nil = the live HPA's stays
	scaled map[string]any                             // of the ScaledObject that makes it; nil = there is none
	diff   string                                     // the settings in which they differ; "" = in none
}

// cluster completes a plan of run --hpa and run --target.
func (a *Ask) cluster(ctx context.Context, p *Plan) (*cluster, error) {
	c, err := kube.Connect(ctx, a.Cluster.Kube)
	if err != nil {
		return nil, err
	}
	return a.in(ctx, c, p)
}

// in is cluster, for a cluster that responds.
func (a *Ask) in(ctx context.Context, c *kube.Cluster, p *Plan) (*cluster, error) {
	if err := Denied(c.Context, "context"); err != nil {
		return nil, err
	}
	subject, err := a.find(ctx, c)
	if err != nil {
		return nil, err
	}
	queries, err := a.fits(subject)
	if err != nil {
		return nil, err
	}
	url := a.URL
	if url != "" {
		if url, err = a.address(p, url); err != nil {
			return nil, err
		}
	}
	out := &cluster{}
	if out.applied, err = a.applied(subject); err != nil {
		return nil, err
	}
	b, err := Look(ctx, c, subject, LookOptions{
		Rights: a.rights(), Apply: out.spec, Changes: a.Cluster.Apply || len(a.Cluster.Fix) > 0,
		Workers: a.Fleet.Job.Workers > 0, URL: url, Lasts: p.Profile.Duration(), Say: p.Say,
		Describe: func(h *results.HPAContext) error { return recorded.ControllerFlags(a.Cluster.Controller, h) },
	})
	if err != nil {
		return nil, err
	}
	b.Throttling = a.Cluster.Throttling
	if b.Prometheus, err = a.prometheus(ctx, c, subject, queries); err != nil {
		return nil, err
	}
	b.Queries = queries
	if b.Prometheus != nil {
		p.say("Prometheus: %s", b.Prometheus.Describe())
	}
	if b.Scrape, err = a.Scrape.cluster(ctx, c, subject, queries); err != nil {
		return nil, err
	}
	if b.Scrape != nil {
		p.say("scrape: %s", b.Scrape.Describe())
	}
	p.Bed, out.bed = b, b
	if err := a.withFleet(p, c, subject.Namespace, subject.Selector); err != nil {
		return nil, err
	}
	if err := a.confirm(p, b.URL); err != nil {
		return nil, err
	}
	if subject.Replicas > 0 { // a target at 0 has no pod to answer
		err = a.probe(ctx, p, b.URL)
	}
	return out, err
}

// find finds the requested workload.
func (a *Ask) find(ctx context.Context, c *kube.Cluster) (*kube.Subject, error) {
	if a.HPA == "" {
		return c.FindTarget(ctx, c.Namespace, a.Target)
	}
	namespace, name, ok := strings.Cut(a.HPA, "/")
	if !ok {
		namespace, name = c.Namespace, a.HPA
	}
	return c.FindHPA(ctx, namespace, name)
}

// fits rejects what cannot be done with the workload, and parses the queries.
func (a *Ask) fits(subject *kube.Subject) (queries []observer.Query, err error) {
	o := &a.Cluster
	switch {
	case a.Target != "" && subject.HPA != nil &&
		(subject.HPAOwner.Kind != manifest.OwnerKEDA || len(o.Fix) > 0 || o.Apply):
		return nil, failure.Inputf("%s is scaled by the HPA %s\nTry: --hpa %s/%s", subject.Target, subject.HPA.Name,
			subject.Namespace, subject.HPA.Name)
	case a.HPA != "" && len(o.Fix) > 0:
		return nil, failure.Inputf("--fix-replicas needs --target: with --hpa, the HPA would change the size back")
	case a.Target != "" && o.Apply:
		return nil, failure.Inputf("--apply needs --hpa: a target without an HPA has no settings to change")
	case o.Apply && a.Filename == "":
		return nil, failure.Inputf("--apply needs -f, the HPA to apply\nTry: --apply -f hpa.yaml")
	case a.Filename != "" && !o.Apply:
		return nil, failure.Inputf(
			"-f with --hpa changes the cluster; pass --apply to confirm (the original is restored at the end)",
		)
	}
	for _, n := range o.Fix {
		if n < 1 || n > 1000 {
			return nil, failure.Inputf("--fix-replicas %d: want 1 to 1000", n)
		}
	}
	for _, text := range o.PromQL {
		q, err := observer.ParseQuery(text)
		if err != nil {
			return nil, failure.Inputf("--promql %q: %w", text, err)
		}
		queries = append(queries, q)
	}
	if len(queries) > 0 && o.Prometheus == "" {
		return nil, failure.Inputf("--promql needs --prometheus URL or NAMESPACE/SERVICE:PORT")
	}
	if o.PrometheusConfig != "" && o.Prometheus == "" {
		return nil, failure.Inputf("--prometheus-config needs --prometheus URL")
	}
	_, err = a.Scrape.page()
	return queries, err
}

// rights are the commands whose rights a run in a cluster needs, as hpatune rbac names
// them. Those for Prometheus are not included, since it has its own namespace.
func (a *Ask) rights() []string {
	commands := []string{"run"}
	for _, c := range []struct {
		name  string
		asked bool
	}{
		{"run --apply", a.Cluster.Apply}, {"run --fix-replicas", len(a.Cluster.Fix) > 0},
		{"run --workers", a.Fleet.Job.Workers > 0}, {"run --throttling", a.Cluster.Throttling},
		{"run --scrape", a.Scrape.Page != ""},
	} {
		if c.asked {
			commands = append(commands, c.name)
		}
	}
	return commands
}

// prometheus is the requested Prometheus; nil = none.
func (a *Ask) prometheus(
	ctx context.Context, c *kube.Cluster, subject *kube.Subject, queries []observer.Query,
) (*observer.Prometheus, error) {
	if a.Cluster.Prometheus == "" {
		return nil, nil
	}
	access := observer.PrometheusAccess{Where: a.Cluster.Prometheus}
	if file := a.Cluster.PrometheusConfig; file != "" {
		var err error
		if access.HTTP, err = observer.LoadHTTPConfig(file, os.LookupEnv); err != nil {
			return nil, failure.Inputf("--prometheus-config: %w", err)
		}
	}
	return observer.NewPrometheus(ctx, c, subject, access, queries)
}

// applied reads the HPA or ScaledObject that replaces the live one during a run, and the
// settings in which they differ; nothing if there is none.
func (a *Ask) applied(subject *kube.Subject) (out applied, err error) {
	if !a.Cluster.Apply {
		return out, nil
	}
	file, data, err := manifests.Autoscaler(a.Stdin, a.Filename)
	if err != nil {
		return out, err
	}
	one, err := manifest.One(file, data)
	a.Plan.warn(one.Warnings)
	if err != nil {
		return out, failure.As(failure.Input, err)
	}
	docs, _ := manifest.Parse(file, data)
	i := slices.IndexFunc(docs, func(d manifest.Doc) bool { return d.HPA != nil && d.Kind != "InferenceService" })
	out.spec = &docs[i].HPA.Spec
	if r, now := out.spec.ScaleTargetRef, subject.HPA.Spec.ScaleTargetRef; r.Kind != now.Kind || r.Name != now.Name {
		return out, failure.Inputf("%s scales %s/%s, but the live HPA scales %s/%s; --apply cannot change the target",
			file, r.Kind, r.Name, now.Kind, now.Name)
	}
	if docs[i].Scaled != nil {
		out.scaled, out.diff, err = a.appliedScaled(subject, &docs[i])
		return out, err
	}
	if err := subject.Owned(); err != nil && subject.Scaled != nil {
		return out, fmt.Errorf("%w\nTry: --apply -f scaledobject.yaml, which changes the ScaledObject instead", err)
	} else if err != nil {
		return out, err
	}
	from, err := manifest.FromV2(&subject.HPA.Spec)
	if err != nil {
		return out, err
	}
	out.diff = manifest.Diff(&from, &one.Config)
	return out, nil
}

// appliedScaled reads a ScaledObject's file for applied.
func (a *Ask) appliedScaled(subject *kube.Subject, d *manifest.Doc) (spec map[string]any, diff string, err error) {
	live := subject.HPA.Name
	if subject.HPAOwner.Kind != manifest.OwnerKEDA {
		return nil, "", failure.Inputf("%s is a ScaledObject, but KEDA does not write the live HPA %s\nTry: -f an "+
			"HPA", a.Filename, live)
	}
	if err := subject.OwnedScaled(); err != nil {
		return nil, "", err
	}
	if name := d.Scaled.HPAName(); name != live {
		return nil, "", failure.Inputf("%s would make the HPA %s, but the live one is %s; --apply cannot change its "+
			"name", a.Filename,
			name, live)
	}
	file, problems := d.JSON()
	if err := problems.Err(); err != nil {
		return nil, "", failure.As(failure.Input, err)
	}
	spec, differ, err := kube.ScaledSpec(subject.Scaled, file)
	if err != nil {
		return nil, "", failure.Inputf("%s: %w", a.Filename, err)
	}
	return spec, strings.Join(differ, "\n"), nil
}

// apply prints what is about to be applied, asks, and tells the bed to apply it.
func (a *Ask) apply(c *cluster) error {
	if c.diff == "" {
		a.Plan.say("the live object already equals %s; nothing to apply", a.Filename)
		return nil
	}
	what, name := "HPA", c.bed.Subject.HPA.Name
	if c.scaled != nil {
		what, name = "ScaledObject", c.bed.Subject.Scaled.GetName()
	}
	a.Plan.say("Applying to %s %s/%s for this run (the original is restored at the end):\n%s", what,
		c.bed.Subject.Namespace, name, c.diff)
	if c.bed.ApplyScaled = c.scaled; c.scaled == nil {
		c.bed.Apply = c.spec
	}
	return a.sure()
}

// sizes records a run at each fixed size, one folder per run, under one Lease.
func (a *Ask) sizes(ctx context.Context, p Plan, b *Cluster, each Each) error {
	sizes := a.Cluster.Fix
	p.say("Scaling %s for one run at each size (%[2]d is restored at the end): %[3]s replicas", b.Subject.Target,
		b.Subject.Replicas, strings.Trim(fmt.Sprint(sizes), "[]"))
	if err := a.sure(); err != nil {
		return err
	}
	base := p.Dir
	return Holding(ctx, b, base, p.Say, func() error {
		for _, n := range sizes {
			b.Replicas, p.Dir = int32(n), fmt.Sprintf("%s-r%d", base, n)
			run, err := Record(ctx, p)
			if err := each(p, run, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// withFleet makes the pods of a Job load a plan's bed, if requested; avoid are the labels
// of pods whose nodes are avoided by default.
func (a *Ask) withFleet(p *Plan, c *kube.Cluster, namespace, avoid string) error {
	f := &a.Fleet
	if f.Job.Workers == 0 {
		return nil
	}
	if err := Denied(c.Context, "context"); err != nil {
		return err
	}
	ca, err := a.ca()
	if err != nil {
		return err
	}
	b := &Fleet{Bed: p.Bed, Client: c.Clients, Timeout: f.Timeout, CA: ca, Insecure: a.Insecure, Job: f.Job}
	b.Job.Namespace = namespace
	if avoid = cmp.Or(f.Avoid, avoid); avoid != "" {
		if b.Job.Avoid, err = metav1.ParseToLabelSelector(avoid); err != nil {
			return failure.Inputf("--worker-avoid: %w", err)
		}
	}
	p.Bed = b
	return nil
}
