package doctor

import (
	"fmt"
	"math"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Check is one rule. judge returns ok = false where a fact that it needs is not
// known: it then says nothing, rather than "healthy".
type Check struct {
	ID       string
	Severity Severity
	Title    string // what it finds, for the list
	Fix      string
	Link     string
	judge    func(s *subject) (hits []hit, ok bool)
}

const (
	walk   = "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/"
	probes = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
)

// Checks is the registry, in the order of the list that help prints.
var Checks = []Check{
	{"metrics-server", Error, "a resource metric is used, and metrics.k8s.io is not served", "helm repo add metrics-server https://kubernetes-sigs.github.io/metrics-server/ && helm upgrade --install metrics-server metrics-server/metrics-server -n kube-system", "https://github.com/kubernetes-sigs/metrics-server", metricsServer},
	{"missing-request", Error, "a container, sidecars included, lacks the request that a utilization target divides by", "set the request in every container, or use a ContainerResource metric for the one that matters", walk, missingRequest},
	{"autoscaling-v1", Info, "the manifest is autoscaling/v1, which knows no behavior and no metric but CPU", "write apiVersion: autoscaling/v2", walk, autoscalingV1},
	{"min-one", Warning, "minReplicas is 1 or absent", "set minReplicas: 2 or more", walk, minOne},
	{"no-series", Error, "a metric has no series, or no adapter serves its API", "name a metric that exists, and install an adapter that serves it", walk, noSeries},
	{"unreachable-target", Error, "the metric cannot rise past target × (1 + tolerance)", "lower the target, or raise the limit", walk, unreachable},
	{"slow-growth", Warning, "the limit caps usage, so that each decision can grow the size only a little", "lower the target, or raise the limit over the request", walk, slowGrowth},
	{"memory-target", Warning, "a memory target, and memory was not seen to fall with load", "remove the memory metric; scale on concurrency, queue or CPU, and bound memory by its limit", walk, memoryTarget},
	{"latency-signal", Warning, "latency is the signal", "scale on what grows with load before latency does: requests in flight, or queue length, per pod", walk, latencySignal},
	{"gpu-utilization", Warning, "GPU utilization is the signal", "scale on requests running and waiting per pod", walk, gpuSignal},
	{"queue-value", Warning, "a queue's depth with Value where AverageValue is meant", "use type: AverageValue with what one pod may have waiting", walk, queueValue},
	{"no-behavior", Info, "no behavior: the defaults count", "write behavior out, with windows that fit the start-up time", walk, noBehavior},
	{"short-window", Warning, "the scale-down window is shorter than start-up", "make stabilizationWindowSeconds at least the start-up time", walk, shortWindow},
	{"policy-cascade", Warning, "a scale-up policy's period is shorter than start-up", "make the policy's periodSeconds at least the start-up time, or accept the overshoot for speed", walk, cascade},
	{"dead-policy", Warning, "a policy can never bind between min and max", "remove it, or give it a value that can bind", walk, deadPolicy},
	{"readiness", Warning, "a container that serves has no readiness probe", "add a readiness probe that answers only once the model is loaded", probes, readiness},
	{"early-readiness", Warning, "readiness was seen, or is bound, to come before the model is loaded", "probe over HTTP or gRPC a path that fails until the model is loaded", probes, earlyReadiness},
	{"grace-period", Warning, "terminationGracePeriodSeconds is shorter than the longest answer", "set terminationGracePeriodSeconds above the longest answer, and a preStop pause", "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination", grace},
	{"manifest-replicas", Warning, "replicas stand in the manifest beside an HPA", "remove spec.replicas from the manifest", walk, replicasBeside},
	{"two-hpas", Error, "two HPAs on one target", "keep one HPA, with all metrics in it", walk, twoHPAs},
	{"hpa-and-vpa", Error, "a VPA changes the request that the HPA's utilization divides by", "set the VPA's updateMode: Off, or leave that resource out of its controlledResources", "https://github.com/kubernetes/autoscaler/tree/master/vertical-pod-autoscaler", vpa},
	{"pdb-blocks", Warning, "a PodDisruptionBudget allows no eviction at minReplicas", "use maxUnavailable: 1", "https://kubernetes.io/docs/tasks/run-application/configure-pdb/", pdb},
	{"max-beyond-quota", Error, "maxReplicas do not fit the namespace's ResourceQuota", "raise the quota, or lower maxReplicas", "https://kubernetes.io/docs/concepts/policy/resource-quotas/", quota},
	{"max-beyond-nodes", Warning, "maxReplicas do not fit the nodes there are", "lower maxReplicas, or make sure that a node autoscaler adds nodes", walk, nodes},
	{"moving-tag", Warning, "an image has :latest, a moving tag or none", "name a version, better a digest", "https://kubernetes.io/docs/concepts/containers/images/", movingTag},
	{"far-request", Warning, "requests are far from measured use", "set the request near the use at the load that one pod shall carry", walk, farRequest},
	{"coarse-tolerance", Info, "tolerance makes one more replica unreachable at large sizes", "set behavior.scaleUp.tolerance below 1/maxReplicas (Kubernetes 1.35 and later)", walk, coarse},
	{"keda-cooldown", Warning, "KEDA's cooldownPeriod is shorter than start-up", "set cooldownPeriod above the start-up time", "https://keda.sh/docs/latest/reference/scaledobject-spec/", keda},
	{"failing-event", Error, "the autoscaler reports a failure", "see the event's own text", walk, failing},
}

func metricsServer(s *subject) ([]hit, bool) {
	r := s.resources()
	if !s.facts.Live || len(r) == 0 {
		return nil, s.facts.Live
	}
	return s.apiHit("metrics.k8s.io", r[0])
}

// apiHit finds out whether an aggregated API is registered and available.
func (s *subject) apiHit(group string, metric int) ([]hit, bool) {
	listed := false
	for d := range s.facts.of("", "APIService") {
		listed = true
		if !strings.HasSuffix(d.Name, "."+group) {
			continue
		}
		a, err := decode[struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}](d)
		if err != nil {
			return nil, false
		}
		for _, c := range a.Status.Conditions {
			if c.Type == "Available" && c.Status != "True" {
				return []hit{s.hit(metricPath(metric), "%s is registered and unavailable: %s", d.Name, c.Message)}, true
			}
		}
		return nil, true
	}
	if !listed { // APIServices could not be read: nothing is known
		return nil, false
	}
	return []hit{s.hit(metricPath(metric), "no APIService serves %s, so the metric cannot be read", group)}, true
}

func missingRequest(s *subject) (hits []hit, ok bool) {
	if s.pods == nil {
		return nil, false
	}
	for _, i := range s.resources() {
		m := s.config.Metrics[i]
		if m.Target.AverageMilli != 0 {
			continue // a plain value divides by no request
		}
		if p := s.pods.Spec.Template.Spec.Resources; p != nil && m.Container == "" {
			if _, found := p.Requests[corev1.ResourceName(m.Name)]; found {
				continue // pod-level requests, from 1.34
			}
		}
		for _, c := range s.pods.containers() {
			if m.Container != "" && m.Container != c.Name {
				continue
			}
			_, request := c.Resources.Requests[corev1.ResourceName(m.Name)]
			_, limit := c.Resources.Limits[corev1.ResourceName(m.Name)]
			if !request && !limit {
				hits = append(hits, hit{s.podDoc, "spec.template.spec.containers", fmt.Sprintf("container %s has no %s request: one is enough for the metric to fail for the whole HPA (ScalingActive=False FailedGetResourceMetric, with Warning events every period)", c.Name, m.Name), ""})
			}
		}
	}
	return hits, true
}

func autoscalingV1(s *subject) ([]hit, bool) {
	v1 := s.doc.APIVersion == "autoscaling/v1" || strings.Contains(s.doc.HPA.Annotations[corev1.LastAppliedConfigAnnotation], `"autoscaling/v1"`)
	for _, m := range s.doc.HPA.ManagedFields {
		// The status is written by the controller, in its own version.
		v1 = v1 || m.Subresource == "" && m.APIVersion == "autoscaling/v1"
	}
	if v1 {
		return []hit{s.hit("apiVersion", "it was written as autoscaling/v1; the API server serves every HPA as v2, so only its source shows that")}, true
	}
	return nil, true
}

func minOne(s *subject) ([]hit, bool) {
	if s.config.MinReplicas != 1 {
		return nil, true
	}
	return []hit{s.hit("spec.minReplicas", "at 1 replica, losing a pod or its node means no service until another one has started")}, true
}

func noSeries(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		if n, asked := s.m.Series[m.Name]; asked {
			ok = true
			if n == 0 {
				hits = append(hits, s.hit(metricPath(i), "metric %s has no series. One metric that fails forbids scaling down; if all fail, nothing scales", m.Name))
			}
			continue
		}
		group := map[hpa.Source]string{hpa.Pods: "custom.metrics.k8s.io", hpa.Object: "custom.metrics.k8s.io", hpa.External: "external.metrics.k8s.io"}[m.Source]
		if group != "" && s.facts.Live {
			h, known := s.apiHit(group, i)
			hits, ok = append(hits, h...), ok || known
		}
	}
	return hits, ok
}

// ceiling is the highest value that a metric's target is compared with.
func (s *subject) ceiling(m hpa.Metric) (ceiling, target float64, ok bool) {
	target = float64(m.Target.Utilization)
	if m.Target.AverageMilli != 0 {
		target = float64(m.Target.AverageMilli) / 1000
	} else if m.Target.ValueMilli != 0 {
		target = float64(m.Target.ValueMilli) / 1000
	}
	if c, known := s.m.Ceiling[m.Name]; known {
		return c, target, target > 0
	}
	if s.pods == nil || m.Target.Utilization == 0 || m.Source != hpa.Resource && m.Source != hpa.ContainerResource {
		return 0, 0, false
	}
	request, ok1 := s.pods.amount(m.Container, m.Name, false)
	limit, ok2 := s.pods.amount(m.Container, m.Name, true)
	if !ok1 || !ok2 || request == 0 {
		return 0, 0, false
	}
	return 100 * limit / request, target, true
}

func (s *subject) tolerance() float64 {
	if s.up.ToleranceSet {
		return s.up.Tolerance
	}
	return hpa.DefaultParams().Tolerance
}

func unreachable(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		c, t, known := s.ceiling(m)
		ok = ok || known
		if known && c <= t*(1+s.tolerance()) {
			hits = append(hits, s.hit(metricPath(i), "%s can reach %.4g at most, and nothing up to %.4g (target %.4g, tolerance %.3g) scales up", m.Name, c, t*(1+s.tolerance()), t, s.tolerance()))
		}
	}
	return hits, ok
}

func slowGrowth(s *subject) (hits []hit, ok bool) {
	n := float64(s.config.MaxReplicas) / float64(max(s.config.MinReplicas, 1))
	for i, m := range s.config.Metrics {
		c, t, known := s.ceiling(m)
		ok = ok || known
		if g := c / t; known && g > 1+s.tolerance() && g < 1.4 && n > g*g {
			hits = append(hits, s.hit(metricPath(i), "%s is capped at %.4g with target %.4g: each decision grows the size by %.2f at most, so %d decisions lead from min to max", m.Name, c, t, g, int(math.Ceil(math.Log(n)/math.Log(g)))))
		}
	}
	return hits, ok
}

func memoryTarget(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		if (m.Source == hpa.Resource || m.Source == hpa.ContainerResource) && m.Name == "memory" && !s.m.MemoryFalls {
			hits = append(hits, s.hit(metricPath(i), "a memory target lets the size fall only if the process gives memory back when load goes, which model servers mostly do not; the largest proposal wins, so memory alone then keeps the size up"))
		}
	}
	return hits, true
}

// named finds metrics whose names have one of the words.
func (s *subject) named(why string, words ...string) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		for _, w := range words {
			if strings.Contains(strings.ToLower(m.Name), w) {
				hits = append(hits, s.hit(metricPath(i), why, m.Name))
				break
			}
		}
	}
	return hits, true
}

func latencySignal(s *subject) ([]hit, bool) {
	return s.named("%s: latency is flat until the service is full, then has no proportion to the load, and the HPA's arithmetic assumes one", "latency", "duration", "ttft", "time_to_first", "response_time")
}

func gpuSignal(s *subject) ([]hit, bool) {
	return s.named("%s says that some kernel ran, not how full the GPU is: a batching server shows nearly 100 % at a small part of its capacity", "gpu_util", "gpu_utilization", "duty_cycle", "sm_active")
}

func queueValue(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		name := strings.ToLower(m.Name)
		if (m.Source == hpa.External || m.Source == hpa.Object) && m.Target.ValueMilli != 0 && (strings.Contains(name, "queue") || strings.Contains(name, "waiting") || strings.Contains(name, "backlog")) {
			hits = append(hits, s.hit(metricPath(i), "%s with value: the size becomes ready pods × depth / value, so a queue that stays above it multiplies the size at each decision; with averageValue it is depth / averageValue", m.Name))
		}
	}
	return hits, true
}

func noBehavior(s *subject) ([]hit, bool) {
	if s.config.Behavior {
		return nil, true
	}
	return []hit{s.hit("spec", "without behavior a size may double (or reach 4) at each decision, and falls after 5 minutes (the controller's flag) to the highest recent proposal; scale-up may go back to an older recommendation")}, true
}

func shortWindow(s *subject) ([]hit, bool) {
	w := s.down.Window
	if !s.down.WindowSet {
		w = hpa.DefaultParams().DownscaleStabilization
	}
	if s.m.Startup == 0 || w >= s.m.Startup {
		return nil, s.m.Startup != 0
	}
	return []hit{s.hit("spec.behavior.scaleDown.stabilizationWindowSeconds", "the scale-down window is %v and a pod starts in %v: replicas go before their replacement could come, for a dip shorter than a start", w, s.m.Startup)}, true
}

func cascade(s *subject) (hits []hit, ok bool) {
	if s.m.Startup == 0 {
		return nil, false
	}
	for i, p := range s.up.Policies {
		if s.config.Behavior && p.Period < s.m.Startup {
			hits = append(hits, s.hit(fmt.Sprintf("spec.behavior.scaleUp.policies[%d].periodSeconds", i), "%v renews its budget %d times while a pod starts (%v): where starting pods are not counted as unready (all but CPU), each decision asks again for what is on its way", p, int(s.m.Startup/p.Period), s.m.Startup))
		}
	}
	return hits, true
}

func deadPolicy(s *subject) (hits []hit, ok bool) {
	for _, d := range manifest.DeadPolicies(&s.config) {
		hits = append(hits, s.hit(d.Path, "%s", d.Why))
	}
	return hits, true
}

func readiness(s *subject) (hits []hit, ok bool) {
	if s.pods == nil {
		return nil, false
	}
	for i, c := range s.pods.Spec.Template.Spec.Containers {
		if len(c.Ports) > 0 && c.ReadinessProbe == nil {
			hits = append(hits, hit{s.podDoc, fmt.Sprintf("spec.template.spec.containers[%d]", i), fmt.Sprintf("container %s has ports and no readiness probe: it is Ready once started, and gets traffic before it can answer", c.Name), ""})
		}
	}
	return hits, true
}

func earlyReadiness(s *subject) (hits []hit, ok bool) {
	if s.pods == nil || s.m.Startup == 0 {
		return nil, false
	}
	for i, c := range s.pods.Spec.Template.Spec.Containers {
		// A port opens before a model is loaded; HTTP paths are the server's word.
		if p := c.ReadinessProbe; p != nil && p.TCPSocket != nil && s.m.Startup > time.Duration(p.InitialDelaySeconds)*time.Second && c.StartupProbe == nil {
			hits = append(hits, hit{s.podDoc, fmt.Sprintf("spec.template.spec.containers[%d].readinessProbe", i), fmt.Sprintf("container %s is ready once its port opens (after %d s at least), and start-up takes %v", c.Name, p.InitialDelaySeconds, s.m.Startup), ""})
		}
	}
	return hits, true
}

func grace(s *subject) ([]hit, bool) {
	if s.pods == nil || s.m.LongestAnswer == 0 {
		return nil, false
	}
	g := 30 * time.Second // the API server's default
	if t := s.pods.Spec.Template.Spec.TerminationGracePeriodSeconds; t != nil {
		g = time.Duration(*t) * time.Second
	}
	if g >= s.m.LongestAnswer {
		return nil, true
	}
	return []hit{{s.podDoc, "spec.template.spec.terminationGracePeriodSeconds", fmt.Sprintf("a pod is killed %v after it is told to end, and an answer takes up to %v: scaling down cuts answers", g, s.m.LongestAnswer), ""}}, true
}

func replicasBeside(s *subject) ([]hit, bool) {
	if s.pods == nil || s.facts.Live { // a live object always has the field
		return nil, false
	}
	if s.pods.Spec.Replicas == nil {
		return nil, true
	}
	return []hit{{s.podDoc, "spec.replicas", fmt.Sprintf("each apply sets the size to %d, whatever the HPA decided, until the next reconcile", *s.pods.Spec.Replicas), ""}}, true
}

func twoHPAs(s *subject) (hits []hit, ok bool) {
	for d := range s.facts.of(s.doc.Namespace, "HorizontalPodAutoscaler") {
		if d != s.doc && d.HPA != nil && d.HPA.Spec.ScaleTargetRef.Kind == s.doc.HPA.Spec.ScaleTargetRef.Kind && d.HPA.Spec.ScaleTargetRef.Name == s.doc.HPA.Spec.ScaleTargetRef.Name {
			hits = append(hits, s.hit("spec.scaleTargetRef", "%s has the same target: both stop with AmbiguousSelector", object(d)))
		}
	}
	return hits, true
}

func pdb(s *subject) (hits []hit, ok bool) {
	if s.pods == nil {
		return nil, false
	}
	for d := range s.facts.of(s.doc.Namespace, "PodDisruptionBudget") {
		b, err := decode[policyv1.PodDisruptionBudget](d)
		if err != nil || b.Spec.Selector == nil || !s.selects(b.Spec.Selector) {
			continue
		}
		ok = true
		if n, said := scaled(&b, s.config.MinReplicas); said && n <= 0 {
			hits = append(hits, hit{d, "spec", fmt.Sprintf("at minReplicas %d it allows no eviction: nodes cannot be drained. (The HPA itself is not held up: it does not evict.)", s.config.MinReplicas), ""})
		}
	}
	return hits, ok
}
