package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// clusterFlags are the flags of `run` that are about a cluster.
type clusterFlags struct {
	kube             kubeFlags
	hpa              string
	target           string
	apply            bool
	fix              []int
	prometheus       string
	prometheusConfig string // a file in http_config form; "" = no credentials
	promql           []string
	controller       string
	throttling       bool
}

// kubeFlags say which cluster; they mean what kubectl's mean.
type kubeFlags struct{ kubeconfig, context, namespace string }

func (k *kubeFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&k.kubeconfig, "kubeconfig", "", "")
	c.Flags().StringVar(&k.context, "context", "", "")
	c.Flags().StringVarP(&k.namespace, "namespace", "n", "", "")
}

func (k kubeFlags) connect(ctx context.Context) (*kube.Cluster, error) {
	c, err := kube.Connect(ctx, kube.Options{Kubeconfig: k.kubeconfig, Context: k.context, Namespace: k.namespace})
	return c, exitIf(exitFailed, err)
}

func (f *clusterFlags) add(c *cobra.Command) {
	fl := c.Flags()
	f.kube.add(c)
	fl.StringVar(&f.hpa, "hpa", "", "")
	fl.StringVar(&f.target, "target", "", "")
	fl.BoolVar(&f.apply, "apply", false, "")
	fl.IntSliceVar(&f.fix, "fix-replicas", nil, "")
	fl.StringVar(&f.prometheus, "prometheus", "", "")
	fl.StringVar(&f.prometheusConfig, "prometheus-config", "", "")
	fl.StringArrayVar(&f.promql, "promql", nil, "")
	fl.StringVar(&f.controller, "controller", "", "")
	fl.BoolVar(&f.throttling, "throttling", false, "")
	c.MarkFlagsMutuallyExclusive("sandbox", "hpa", "target")
}

func (f *clusterFlags) asked() bool { return f.hpa != "" || f.target != "" }

// rights are the commands whose rights a run in a cluster needs, as hpatune
// rbac names them. Prometheus' are not asked for: it has a namespace of its own.
func (f *runFlags) rights() []string {
	commands := []string{"run"}
	for _, c := range []struct {
		name  string
		asked bool
	}{
		{"run --apply", f.cluster.apply}, {"run --fix-replicas", len(f.cluster.fix) > 0},
		{"run --workers", f.fleet.workers > 0}, {"run --throttling", f.cluster.throttling},
	} {
		if c.asked {
			commands = append(commands, c.name)
		}
	}
	return commands
}

// runOnCluster is run --hpa and run --target.
func (s streams) runOnCluster(ctx context.Context, f runFlags, p record.Plan, objectives []results.Objective) error {
	c, err := f.cluster.kube.connect(ctx)
	if err != nil {
		return err
	}
	if err := record.Denied(c.Context, "context"); err != nil {
		return recordError(err)
	}
	ns := c.Namespace
	var subject *kube.Subject
	if f.cluster.hpa != "" {
		name := f.cluster.hpa
		if before, after, ok := strings.Cut(name, "/"); ok {
			ns, name = before, after
		}
		subject, err = c.FindHPA(ctx, ns, name)
	} else {
		subject, err = c.FindTarget(ctx, ns, f.cluster.target)
	}
	if err != nil {
		return exit(exitFailed, err)
	}
	switch {
	case f.cluster.target != "" && subject.HPA != nil:
		return usagef("%s is scaled by the HPA %s\nTry: --hpa %s/%s", subject.Target, subject.HPA.Name, ns, subject.HPA.Name)
	case f.cluster.hpa != "" && len(f.cluster.fix) > 0:
		return usagef("--fix-replicas needs --target: with --hpa, the HPA would change the size back")
	case f.cluster.target != "" && f.cluster.apply:
		return usagef("--apply needs --hpa: a target without an HPA has no settings to change")
	case f.cluster.apply && f.filename == "":
		return usagef("--apply needs -f, the HPA to apply\nTry: --apply -f hpa.yaml")
	case f.filename != "" && !f.cluster.apply:
		return usagef("-f with --hpa changes the cluster; pass --apply to confirm (the original is restored at the end)")
	}
	var queries []observer.Query
	for _, text := range f.cluster.promql {
		q, err := observer.ParseQuery(text)
		if err != nil {
			return usagef("--promql %q: %w", text, err)
		}
		queries = append(queries, q)
	}
	if len(queries) > 0 && f.cluster.prometheus == "" {
		return usagef("--promql needs --prometheus URL or NAMESPACE/SERVICE:PORT")
	}
	if f.cluster.prometheusConfig != "" && f.cluster.prometheus == "" {
		return usagef("--prometheus-config needs --prometheus URL")
	}
	if f.url != "" {
		if f.url, err = f.address(&p, f.url); err != nil {
			return err
		}
	}
	spec, diff, err := s.applied(f, subject)
	if err != nil {
		return err
	}
	b, err := record.Look(ctx, c, subject, record.LookOptions{
		Rights: f.rights(), Apply: spec, Changes: f.cluster.apply || len(f.cluster.fix) > 0, Workers: f.fleet.workers > 0,
		URL: f.url, Lasts: p.Profile.Duration(), Say: s.say,
		Describe: func(h *results.HPAContext) error { return record.ControllerFlags(f.cluster.controller, h) },
	})
	if err != nil {
		return recordError(err)
	}
	b.Throttling = f.cluster.throttling
	if b.Prometheus, err = f.cluster.prometheusOf(ctx, c, subject, queries); err != nil {
		return err
	}
	if b.Prometheus != nil {
		s.warnf("Prometheus: %s", b.Prometheus.Describe())
	}
	p.Bed = b
	if err := f.withFleet(&p, c, subject.Namespace, subject.Selector); err != nil {
		return err
	}
	if err := s.confirm(p, b.URL, f.yes); err != nil {
		return err
	}
	if subject.Replicas > 0 { // what stands at 0 has nobody to answer
		if err := s.probe(ctx, f, &p, b.URL); err != nil {
			return err
		}
	}
	if p.Dir, err = record.Dir(f.out, p.Profile.Name); err != nil {
		return recordError(err)
	}
	switch {
	case f.cluster.target != "" && len(f.cluster.fix) > 0:
		return s.runFixed(ctx, f, p, b, objectives)
	case f.cluster.apply && diff == "":
		s.warnf("the live HPA already equals %s; nothing to apply", f.filename)
	case f.cluster.apply:
		s.warnf(
			"Applying to HPA %s/%s for this run (the original is restored at the end):\n%s",
			subject.Namespace,
			subject.HPA.Name,
			diff,
		)
		if !f.yes {
			if err := s.ask("Continue?"); err != nil {
				return err
			}
		}
		b.Apply = spec
	}
	run, err := record.Record(ctx, p)
	return s.concluded(run, err, p.Dir, objectives, f.output)
}

// prometheusOf is the Prometheus of the flags; nil = none.
func (f *clusterFlags) prometheusOf(
	ctx context.Context,
	c *kube.Cluster,
	subject *kube.Subject,
	queries []observer.Query,
) (*observer.Prometheus, error) {
	if f.prometheus == "" {
		return nil, nil
	}
	access := observer.PrometheusAccess{Where: f.prometheus}
	if file := f.prometheusConfig; file != "" {
		var err error
		if access.HTTP, err = observer.LoadHTTPConfig(file, os.LookupEnv); err != nil {
			return nil, usagef("--prometheus-config: %w", err)
		}
	}
	prom, err := observer.NewPrometheus(ctx, c, subject, access, queries)
	return prom, exitIf(exitFailed, err)
}

// applied reads the HPA spec that a run is to have in place of the live one, and
// says in which settings it differs; nil = --apply was not asked for.
func (s streams) applied(
	f runFlags,
	subject *kube.Subject,
) (spec *autoscalingv2.HorizontalPodAutoscalerSpec, diff string, err error) {
	if !f.cluster.apply {
		return nil, "", nil
	}
	data, err := s.readManifest(f.filename)
	if err != nil {
		return nil, "", err
	}
	if _, err := s.decodeHPA(f.filename, data); err != nil {
		return nil, "", err
	}
	docs, _ := manifest.Parse(f.filename, data)
	i := slices.IndexFunc(docs, func(d manifest.Doc) bool { return d.HPA != nil && d.Kind != "InferenceService" })
	if so := docs[i].Scaled; so != nil {
		return nil, "", usagef(
			"%s is a ScaledObject: --apply changes an HPA, and KEDA would revert that\nTry: kubectl apply it, then hpatune run --hpa %s/%s",
			f.filename,
			subject.Namespace,
			so.HPAName(),
		)
	}
	spec = &docs[i].HPA.Spec
	if r, now := spec.ScaleTargetRef, subject.HPA.Spec.ScaleTargetRef; r.Kind != now.Kind || r.Name != now.Name {
		return nil, "", usagef(
			"%s scales %s/%s, but the live HPA scales %s/%s; --apply cannot change the target",
			f.filename,
			r.Kind,
			r.Name,
			now.Kind,
			now.Name,
		)
	}
	from, err := manifest.FromV2(&subject.HPA.Spec)
	if err != nil {
		return nil, "", exit(exitFailed, err)
	}
	to, err := manifest.FromV2(spec)
	if err != nil {
		return nil, "", exit(exitUsage, err)
	}
	return spec, manifest.Diff(&from, &to), exitIf(exitFailed, subject.Owned())
}

// runFixed is a run at each fixed size, a folder each, under one Lease.
func (s streams) runFixed(
	ctx context.Context,
	f runFlags,
	p record.Plan,
	b *record.Cluster,
	objectives []results.Objective,
) (err error) {
	sizes := f.cluster.fix
	for _, n := range sizes {
		if n < 1 || n > 1000 {
			return usagef("--fix-replicas %d: want 1 to 1000", n)
		}
	}
	s.warnf(
		"Scaling %s for one run at each size (%[2]d is restored at the end): %[3]s replicas",
		b.Subject.Target,
		b.Subject.Replicas,
		strings.Trim(fmt.Sprint(sizes), "[]"),
	)
	if !f.yes {
		if err := s.ask("Continue?"); err != nil {
			return err
		}
	}
	base, code := p.Dir, exitOK
	err = record.Holding(ctx, b, base, s.say, func() error {
		for _, n := range sizes {
			b.Replicas, p.Dir = int32(n), fmt.Sprintf("%s-r%d", base, n)
			run, err := record.Record(ctx, p)
			if err := s.concluded(run, err, p.Dir, objectives, f.output); err != nil {
				var e *exitError
				if !errors.As(err, &e) || e.code == exitInterrupted || e.code == exitFailed {
					return err
				}
				code = worse(code, e.code)
			}
		}
		return exit(code, nil)
	})
	if errors.Is(err, record.ErrLeft) {
		return exit(exitFailed, nil) // what is left has been said
	}
	return recordError(err)
}
