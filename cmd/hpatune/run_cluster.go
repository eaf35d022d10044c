package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/replay"
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
	c.Flags().StringVar(&k.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config)")
	c.Flags().StringVar(&k.context, "context", "", "context of the kubeconfig (default: its current one)")
	c.Flags().StringVarP(&k.namespace, "namespace", "n", "", "namespace (default: the context's)")
}

func (k kubeFlags) connect(ctx context.Context) (*kube.Cluster, error) {
	c, err := kube.Connect(ctx, kube.Options{Kubeconfig: k.kubeconfig, Context: k.context, Namespace: k.namespace})
	return c, exitIf(exitFailed, err)
}

func (f *clusterFlags) add(c *cobra.Command) {
	fl := c.Flags()
	f.kube.add(c)
	fl.StringVar(&f.hpa, "hpa", "", "load what this live HPA scales: NAMESPACE/NAME, or NAME")
	fl.StringVar(&f.target, "target", "", "load a workload without an HPA: deployment/NAME")
	fl.BoolVar(&f.apply, "apply", false, "run with the HPA of -f in place of the live one, and put the live one back at the end")
	fl.IntSliceVar(&f.fix, "fix-replicas", nil, "target: a run at each of these sizes (1,2,4), and back at the end")
	fl.StringVar(&f.prometheus, "prometheus", "", "record series of this Prometheus: a URL, or NAMESPACE/SERVICE:PORT through the API server")
	fl.StringVar(&f.prometheusConfig, "prometheus-config", "", "how to log in to --prometheus: a file in the form of Prometheus' http_config; ${NAME} is read from the environment")
	fl.StringArrayVar(&f.promql, "promql", nil, "record this PromQL, too, as NAME=EXPRESSION (repeat; needs --prometheus)")
	fl.StringVar(&f.controller, "controller", "", "the controller's flags where they are not the defaults: syncPeriod=5s,downscaleStabilization=30s,…")
	fl.BoolVar(&f.throttling, "throttling", false, "record CPU throttling from the kubelets (needs nodes/proxy)")
	c.MarkFlagsMutuallyExclusive("sandbox", "hpa", "target")
}

func (f *clusterFlags) asked() bool { return f.hpa != "" || f.target != "" }

// clusterRun is the part of a recording that is about a cluster.
type clusterRun struct {
	cluster     *kube.Cluster
	subject     *kube.Subject
	description kube.Description
	kind        string // of Meta.Target: hpa, fixed
	options     observer.Options
	prom        *observer.Prometheus // nil = none
}

// clusterLead is how long before its first arrival a run watches: a look at
// every list and every metric.
const clusterLead = 3 * time.Second

func (r *clusterRun) describe(m *results.Meta) {
	m.Target.Kind, m.Workload, m.HPA, m.Context = r.kind, r.description.Workload, r.description.HPA, r.description.Context
}

// sources returns what watches the cluster, once the run's folder is there.
func (r *clusterRun) sources(clock results.Clock, log *store.Writer) (*observer.Kube, []observer.Source, error) {
	for _, name := range slices.Sorted(maps.Keys(r.description.Files)) {
		if err := log.File(name, r.description.Files[name]); err != nil {
			return nil, nil, err
		}
	}
	o := r.options
	o.File = func(name string, data []byte) { _ = log.File(name, data) } // a full disk ends the run by itself
	k := observer.NewKube(r.cluster, r.subject, clock, o)
	sources := []observer.Source{k}
	if r.prom != nil {
		p := *r.prom
		p.Clock = clock
		sources = append(sources, &p)
	}
	return k, sources, nil
}

// errUndone ends a run whose change somebody has undone.
var errUndone = errors.New("somebody has undone what this run had changed: what was recorded until then is kept")

// runOnCluster is run --hpa and run --target.
func (s streams) runOnCluster(ctx context.Context, f runFlags, o recording, objectives []results.Objective) error {
	c, err := f.cluster.kube.connect(ctx)
	if err != nil {
		return err
	}
	if err := denied(c.Context, "context"); err != nil {
		return err
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
		return usagef("%s is scaled by the HPA %s: give --hpa %s/%s", subject.Target, subject.HPA.Name, ns, subject.HPA.Name)
	case f.cluster.hpa != "" && len(f.cluster.fix) > 0:
		return usagef("--fix-replicas is for --target: the HPA would undo a fixed size")
	case f.cluster.apply && f.filename == "":
		return usagef("--apply needs the HPA to run with: -f hpa.yaml")
	case f.filename != "" && !f.cluster.apply:
		return usagef("-f with --hpa changes the cluster: add --apply (what is there now is put back at the end)")
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
		return usagef("--promql needs the Prometheus to ask: --prometheus URL, or NAMESPACE/SERVICE:PORT")
	}
	if f.cluster.prometheusConfig != "" && f.cluster.prometheus == "" {
		return usagef("--prometheus-config needs the Prometheus that it is for: --prometheus URL")
	}
	lacks, err := c.Missing(ctx, subject, f.rights()...)
	if err != nil {
		return exit(exitFailed, err)
	}
	for _, l := range lacks {
		s.warnf("warning: %s", l)
	}
	if err := s.preflight(ctx, c, subject); err != nil {
		return exit(exitFailed, err)
	}
	if run := c.Held(ctx, subject); run != "" {
		return exit(exitFailed, fmt.Errorf("%s is held by run %s: two runs on one target would measure each other; wait for it to end", subject.Target, run))
	}
	if err := subject.Left(); err != nil && (f.cluster.apply || len(f.cluster.fix) > 0) {
		return exit(exitFailed, err)
	} else if err != nil {
		s.warnf("warning: %v", err)
	}
	if o.url == "" {
		if o.url, err = s.way(ctx, c, subject, f.fleet.workers > 0); err != nil {
			return exit(exitFailed, err)
		}
	}
	if err := checkURL(o.url); err != nil {
		return err
	}
	if forwarded(ctx, o.url) && subject.HPA != nil && f.fleet.workers == 0 {
		return exit(exitFailed, fmt.Errorf("--url %s is a kubectl port-forward: it reaches one pod only, so new replicas would get nothing and the HPA's answer would mean nothing; give a way in that the Service balances, or send from inside with --workers 1", redactURL(o.url)))
	}
	r := &clusterRun{cluster: c, subject: subject, kind: "hpa", options: observer.Options{Throttling: f.cluster.throttling}}
	if r.description, err = c.Describe(ctx, subject); err != nil {
		return exit(exitFailed, err)
	}
	if err := controllerFlags(f.cluster.controller, &r.description.HPA); err != nil {
		return err
	}
	if f.cluster.prometheus != "" {
		access := observer.PrometheusAccess{Where: f.cluster.prometheus}
		if file := f.cluster.prometheusConfig; file != "" {
			if access.HTTP, err = observer.LoadHTTPConfig(file, os.LookupEnv); err != nil {
				return usagef("--prometheus-config: %w", err)
			}
		}
		if r.prom, err = observer.NewPrometheus(ctx, c, subject, access, queries); err != nil {
			return exit(exitFailed, err)
		}
		s.warnf("Prometheus: %s", r.prom.Describe())
	}
	o.cluster = r
	if err := s.reach(subject, r.description, o.profile.Duration()); err != nil {
		return err
	}
	if f.capacity > 0 {
		o.objectives = objectives
	}
	if err := s.confirm(o, f.yes); err != nil {
		return err
	}
	base, err := runDir(f.out, o.profile.Name)
	if err != nil {
		return err
	}
	if f.cluster.target != "" {
		r.kind = "fixed"
		return s.runFixed(ctx, f, o, base, objectives)
	}
	o.dir = base
	if f.cluster.apply {
		return s.runApplied(ctx, f, o, objectives)
	}
	return s.recordHeld(ctx, f, o, objectives)
}

// reach says how many replicas the load may bring up and what these cost an hour
// at list prices, and names a profile too short to show what the HPA does. How
// long a pod takes to start is not known yet: it comes on top.
func (s streams) reach(subject *kube.Subject, d kube.Description, length time.Duration) error {
	if subject.HPA == nil {
		return nil
	}
	c, err := manifest.FromV2(&subject.HPA.Spec)
	if err != nil {
		return exit(exitFailed, err)
	}
	w := d.Workload
	replica := tuner.Replica{CPUCores: float64(w.CPUMilli) / 1000, MemoryGB: float64(w.MemoryBytes) / (1 << 30), GPUs: float64(w.GPUs)}
	cost := "what they cost is not known, since their requests are not"
	if price := tuner.DefaultPrice(); replica.Known() {
		cost = fmt.Sprintf("%.2f %s an hour at the list prices of %s", float64(c.MaxReplicas)*price.PerReplicaHour(replica), price.Currency, price.Name)
	}
	s.warnf("It may bring up as many as %d replicas: %s.", c.MaxReplicas, cost)
	if text, short := tooShort(length, c, replay.Params(&results.Run{Meta: results.Meta{HPA: d.HPA}}), 0); short {
		s.warnf("warning: %s, and a start-up on top", text)
	}
	return nil
}

// preflight prints what was found, and refuses what a run could not measure.
func (s streams) preflight(ctx context.Context, c *kube.Cluster, subject *kube.Subject) error {
	ready := 0
	for i := range subject.Pods {
		if kube.Ready(&subject.Pods[i]) {
			ready++
		}
	}
	var services []string
	for _, v := range subject.Services {
		services = append(services, v.Name)
	}
	s.warnf("cluster: %s, %s", c.Config.Host, c.Version)
	if c.Ahead != 0 {
		s.warnf("clock: the cluster's is %v ahead of this machine's; its times are put on ours", c.Ahead.Round(100*time.Millisecond))
	}
	s.warnf("target: %s, %d replicas, %d of %d pods ready, owner %v; Services: %s", subject.Target, subject.Replicas, ready, len(subject.Pods), subject.Owner, orNone(services))
	h := subject.HPA
	if h == nil {
		return nil
	}
	s.warnf("HPA: %s/%s, %d to %d replicas, %s, owner %v", h.Namespace, h.Name, *h.Spec.MinReplicas, h.Spec.MaxReplicas, metricsText(h), subject.HPAOwner)
	// A pod that has just started has no CPU figure for up to two scrapes.
	for deadline := time.Now().Add(time.Minute); ; wait(ctx, 2*time.Second) {
		bad := ""
		for _, x := range h.Status.Conditions {
			if x.Status == corev1.ConditionFalse && (x.Type == autoscalingv2.ScalingActive || x.Type == autoscalingv2.AbleToScale) {
				bad = x.Reason + ": " + x.Message
			}
		}
		if bad == "" && len(h.Status.CurrentMetrics) > 0 {
			return nil
		}
		if bad == "" {
			bad = "its status has no metric yet"
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("HPA %s/%s does not scale now, so a run would show nothing: %s; try: kubectl describe hpa -n %s %s", h.Namespace, h.Name, bad, h.Namespace, h.Name)
		}
		found, err := c.FindHPA(ctx, h.Namespace, h.Name)
		if err != nil {
			return err
		}
		*subject = *found
		h = subject.HPA
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func metricsText(h *autoscalingv2.HorizontalPodAutoscaler) string {
	c, err := manifest.FromV2(&h.Spec)
	if err != nil {
		return "metrics that are not read: " + err.Error()
	}
	var out []string
	for _, m := range c.Metrics {
		switch t := m.Target; {
		case t.Utilization > 0:
			out = append(out, fmt.Sprintf("%s %d%%", m.Name, t.Utilization))
		case t.AverageMilli > 0:
			out = append(out, fmt.Sprintf("%s %g a pod", m.Name, float64(t.AverageMilli)/1000))
		default:
			out = append(out, fmt.Sprintf("%s %g", m.Name, float64(t.ValueMilli)/1000))
		}
	}
	return strings.Join(out, ", ")
}

// way picks the way in: what leads there from outside; in a pod, the
// Service's own address; from a fleet of pods that first.
func (s streams) way(ctx context.Context, c *kube.Cluster, subject *kube.Subject, fleet bool) (string, error) {
	outside, inside, err := c.Ways(ctx, subject)
	if err != nil {
		return "", err
	}
	if fleet {
		outside = append(inside, outside...)
	} else if c.Context == "" { // by its service account: this is a pod
		outside = append(outside, inside...)
	}
	if len(outside) == 0 {
		return "", kube.ErrNoWay
	}
	s.warnf("way in: %s (%s)", outside[0].URL, outside[0].Over)
	return outside[0].URL, nil
}

// controllerFlags reads --controller into what the run says of the controller.
func controllerFlags(text string, h *results.HPAContext) error {
	if text == "" {
		return nil
	}
	durations := map[string]*float64{
		"syncPeriod": &h.SyncPeriodS, "downscaleStabilization": &h.DownscaleStabilizationS,
		"cpuInitializationPeriod": &h.CPUInitializationPeriodS, "initialReadinessDelay": &h.InitialReadinessDelayS,
	}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		if to, ok := durations[name]; ok {
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return usagef("--controller %s: %q is not a duration; try %s=15s", name, value, name)
			}
			*to = d.Seconds()
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if name != "tolerance" || err != nil || v < 0 {
			return usagef("--controller %q: want syncPeriod, downscaleStabilization, cpuInitializationPeriod, initialReadinessDelay (durations) or tolerance (a ratio)", pair)
		}
		h.Tolerance = v
	}
	h.Assumed = false
	return nil
}

// runApplied is a run under another HPA spec.
func (s streams) runApplied(ctx context.Context, f runFlags, o recording, objectives []results.Objective) error {
	c, subject := o.cluster.cluster, o.cluster.subject
	data, err := s.readManifest(f.filename)
	if err != nil {
		return err
	}
	if _, err := s.decodeHPA(f.filename, data); err != nil {
		return err
	}
	docs, _ := manifest.Parse(f.filename, data)
	i := slices.IndexFunc(docs, func(d manifest.Doc) bool { return d.HPA != nil })
	spec := docs[i].HPA.Spec
	if r, now := spec.ScaleTargetRef, subject.HPA.Spec.ScaleTargetRef; r.Kind != now.Kind || r.Name != now.Name {
		return usagef("%s scales %s/%s, the live HPA %s/%s: --apply changes settings, not targets", f.filename, r.Kind, r.Name, now.Kind, now.Name)
	}
	from, err := manifest.FromV2(&subject.HPA.Spec)
	if err != nil {
		return exit(exitFailed, err)
	}
	to, err := manifest.FromV2(&spec)
	if err != nil {
		return exit(exitUsage, err)
	}
	if err := subject.Owned(); err != nil {
		return exit(exitFailed, err)
	}
	diff := manifest.Diff(&from, &to)
	if diff == "" {
		s.warnf("%s is what the live HPA says already: nothing to apply", f.filename)
		return s.recordHeld(ctx, f, o, objectives)
	}
	s.warnf("to be applied to HPA %s/%s for this run, and put back at its end:\n%s", subject.Namespace, subject.HPA.Name, diff)
	if !f.yes {
		if err := s.ask("Apply it?"); err != nil {
			return err
		}
	}
	return s.changing(ctx, c, subject, runID(o.dir), func() error {
		stored, err := c.ApplyHPA(ctx, subject, spec, runID(o.dir))
		if err != nil {
			return exit(exitFailed, err)
		}
		o.cluster.options.KeepSpec = stored
		subject.HPA.Spec = *stored
		files := o.cluster.description
		if o.cluster.description, err = c.Describe(ctx, subject); err != nil {
			return exit(exitFailed, err)
		}
		o.cluster.description.HPA = files.HPA
		run, err := s.record(ctx, o)
		return s.concluded(run, err, o.dir, objectives, f.output)
	})
}

// runID names a run in leases and annotations, for people.
func runID(dir string) string { return hostname() + "/" + dir }

// runFixed is a run at each fixed size, a folder each.
func (s streams) runFixed(ctx context.Context, f runFlags, o recording, base string, objectives []results.Objective) error {
	c, subject := o.cluster.cluster, o.cluster.subject
	sizes := f.cluster.fix
	if len(sizes) == 0 { // as it is: nothing is changed
		o.dir = base
		return s.recordHeld(ctx, f, o, objectives)
	}
	for _, n := range sizes {
		if n < 1 || n > 1000 {
			return usagef("--fix-replicas %d: give sizes from 1 to 1000", n)
		}
	}
	s.warnf("to be set on %s, a run each, and back to %d at the end: replicas %s", subject.Target, subject.Replicas, strings.Trim(fmt.Sprint(sizes), "[]"))
	if !f.yes {
		if err := s.ask("Set them?"); err != nil {
			return err
		}
	}
	id := runID(base)
	return s.changing(ctx, c, subject, id, func() error {
		code := exitOK
		for _, n := range sizes {
			size := int32(n)
			if err := c.FixReplicas(ctx, subject, size, id); err != nil {
				return exit(exitFailed, err)
			}
			// Ten minutes: a model of some gigabytes takes that long to come up.
			ready, cancel := context.WithTimeout(ctx, 10*time.Minute)
			err := c.WaitReady(ready, subject, size)
			cancel()
			if err != nil {
				return exit(exitFailed, err)
			}
			o.dir = fmt.Sprintf("%s-r%d", base, n)
			o.cluster.options.KeepReplicas = &size
			s.warnf("at %d replicas:", n)
			run, err := s.record(ctx, o)
			if err := s.concluded(run, err, o.dir, objectives, f.output); err != nil {
				var e *exitError
				if !errors.As(err, &e) || e.code == exitInterrupted || e.code == exitFailed {
					return err
				}
				code = worse(code, e.code)
			}
		}
		return exit(code, nil)
	})
}
