package record

import (
	"context"
	"fmt"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/replay"
)

// LookOptions describe what a run in a cluster will do.
type LookOptions struct {
	Rights   []string                                   // commands whose rights it needs, as hpatune rbac names them
	Apply    *autoscalingv2.HorizontalPodAutoscalerSpec // in place of the live HPA's; nil = that one
	Changes  bool                                       // it changes the target or its HPA
	Workers  bool                                       // the load comes from pods of the cluster
	URL      string                                     // the entry point; "" = find one
	Lasts    time.Duration
	Describe func(*results.HPAContext) error // completes what is known of the controller; nil = nothing to add
	Say      func(text string)               // takes what was found, and warnings
}

// Look checks whether a run on the subject can measure anything, prints what it found, and
// returns the bed for it. It changes nothing.
func Look(ctx context.Context, c *kube.Cluster, subject *kube.Subject, o LookOptions) (*Cluster, error) {
	say := func(format string, args ...any) {
		if o.Say != nil {
			o.Say(fmt.Sprintf(format, args...))
		}
	}
	lacks, err := c.Missing(ctx, subject, o.Rights...)
	if err != nil {
		return nil, err
	}
	for _, l := range lacks {
		say("warning: %s", l)
	}
	if err := preflight(ctx, c, subject, say); err != nil {
		return nil, err
	}
	if run := c.Held(ctx, subject); run != "" {
		return nil, fmt.Errorf(
			"%s is in use by run %s; wait for it to end (two runs on one target would measure each other)",
			subject.Target,
			run,
		)
	}
	if err := subject.Left(); err != nil && o.Changes {
		return nil, err
	} else if err != nil {
		say("warning: %v", err)
	}
	b := &Cluster{Cluster: c, Subject: subject, Kind: "hpa", URL: o.URL, Lease: o.Workers}
	if subject.HPA == nil {
		b.Kind = "fixed"
	}
	if subject.ScaledWhy != nil {
		say("warning: the ScaledObject %s behind the HPA could not be read (%v); tune will recommend a patch of it",
			subject.HPAOwner.Name, subject.ScaledWhy)
	}
	if b.URL == "" {
		w, err := way(ctx, c, subject, o.Workers)
		if err != nil {
			return nil, err
		}
		say("way in: %s (%s)", w.URL, w.Over)
		b.URL = w.URL
	}
	if b.URL, _, err = CheckURL(b.URL); err != nil {
		return nil, err
	}
	if forwarded(ctx, b.URL) && subject.HPA != nil && !o.Workers {
		return nil, fmt.Errorf(
			"--url %s is a kubectl port-forward, which reaches only one pod, so new replicas would get no traffic\nTry: "+
				"the URL of an Ingress or load balancer, or --workers 1 to send from inside the cluster",
			RedactURL(b.URL),
		)
	}
	if b.Description, err = c.Describe(ctx, subject); err != nil {
		return nil, err
	}
	if o.Describe != nil {
		if err := o.Describe(&b.Description.HPA); err != nil {
			return nil, err
		}
	}
	if subject.HPA == nil {
		return b, nil
	}
	spec := o.Apply
	if spec == nil {
		spec = &subject.HPA.Spec
	}
	return b, reach(spec, b.Description, o.Lasts, say)
}

// reach prints how many replicas the load may start and what they cost per hour at list
// prices, and warns if the profile is too short to show what the HPA does. How long a pod
// takes to start is not known yet, and adds to that. spec is what the run will have.
func reach(
	spec *autoscalingv2.HorizontalPodAutoscalerSpec, d kube.Description, length time.Duration, say func(string, ...any),
) error {
	c, err := manifest.FromV2(spec)
	if err != nil {
		return err
	}
	w := d.Workload
	replica := cost.Replica{CPUCores: float64(w.CPUMilli) / 1000, MemoryGB: float64(w.MemoryBytes) / (1 << 30),
		GPUs: float64(w.GPUs)}
	money := "their cost is unknown, since their resource requests are"
	if price := cost.DefaultPrice(); replica.Known() {
		money = fmt.Sprintf("%.2f %s an hour at the list prices of %s",
			float64(c.MaxReplicas)*price.PerReplicaHour(replica), price.Currency, price.Name)
	}
	say("The HPA may scale up to %s: %s.", figure.Many(int(c.MaxReplicas), "replica"), money)
	if text, short := TooShort(length, c, replay.Params(&results.Run{Meta: results.Meta{HPA: d.HPA}}), 0); short {
		say("warning: %s, plus the start-up time", text)
	}
	return nil
}

// preflight prints what was found, and rejects what a run could not measure.
func preflight(ctx context.Context, c *kube.Cluster, subject *kube.Subject, say func(string, ...any)) error {
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
	say("cluster: %s, %s", c.Config.Host, c.Version)
	if c.Ahead != 0 {
		say("clock: the cluster's clock is %v ahead of this machine's; its times are converted",
			c.Ahead.Round(100*time.Millisecond))
	}
	say(
		"target: %s, %s, %d of %d pods ready, owner %v; Services: %s",
		subject.Target,
		figure.Many(int(subject.Replicas), "replica"),
		ready,
		len(subject.Pods),
		subject.Owner,
		orNone(services),
	)
	h := subject.HPA
	if h == nil {
		return nil
	}
	say("HPA: %s/%s, %d to %d replicas, %s, owner %v", h.Namespace, h.Name, *h.Spec.MinReplicas, h.Spec.MaxReplicas,
		metricsText(h), subject.HPAOwner)
	// A pod that has just started has no CPU value for up to two scrapes.
	for deadline := time.Now().Add(time.Minute); ; wait(ctx, 2*time.Second) {
		bad := ""
		for _, x := range h.Status.Conditions {
			if x.Status == corev1.ConditionFalse && (x.Type == autoscalingv2.ScalingActive ||
				x.Type == autoscalingv2.AbleToScale) {
				bad = x.Reason + ": " + x.Message
			}
		}
		if asleep(subject) {
			say("%s is at 0 replicas: the HPA does nothing until KEDA has scaled it up", subject.Target)
			return nil
		}
		if bad == "" && len(h.Status.CurrentMetrics) > 0 {
			return nil
		}
		if bad == "" {
			bad = "its status has no metrics yet"
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf(
				"HPA %s/%s cannot scale now, so a run would be useless: %s\nTry: kubectl describe hpa -n %s %s",
				h.Namespace,
				h.Name,
				bad,
				h.Namespace,
				h.Name,
			)
		}
		found, err := c.FindHPA(ctx, h.Namespace, h.Name)
		if err != nil {
			return err
		}
		*subject = *found
		h = subject.HPA
	}
}

// asleep says whether KEDA has its target at zero, where the HPA is switched off.
func asleep(subject *kube.Subject) bool {
	return subject.Scaled != nil && subject.Replicas == 0 && len(subject.Pods) == 0
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
		return "metrics are not readable: " + err.Error()
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

// way picks the entry point: one that is reachable from outside; inside a pod, the
// Service's own address; for a fleet of pods, that first.
func way(ctx context.Context, c *kube.Cluster, subject *kube.Subject, fleet bool) (kube.Way, error) {
	outside, inside, err := c.Ways(ctx, subject)
	if err != nil {
		return kube.Way{}, err
	}
	if fleet {
		outside = append(inside, outside...)
	} else if c.Context == "" { // by its service account: this is a pod
		outside = append(outside, inside...)
	}
	if len(outside) == 0 {
		return kube.Way{}, kube.ErrNoWay
	}
	return outside[0], nil
}
