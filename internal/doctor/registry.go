package doctor

// Check is one rule. judge returns ok = false if a fact that it needs is unknown: it then
// reports nothing, which does not mean "healthy".
type Check struct {
	ID       string
	Severity Severity
	Title    string // what it finds, for the list
	Fix      string
	Link     string
	judge    func(s *subject) (hits []hit, ok bool)
}

const (
	walk     = "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/"
	kedaSpec = "https://keda.sh/docs/latest/reference/scaledobject-spec/"
	probes   = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
)

// Checks is the registry, in the order in which help prints it.
var Checks = []Check{
	{
		ID: "target-kind", Severity: Error, Link: walk, judge: targetKind,
		Title: "scaleTargetRef names an API group or kind that does not exist, or one without /scale",
		Fix:   "correct spec.scaleTargetRef",
	},
	{
		ID: "target-missing", Severity: Warning, Link: walk, judge: targetMissing,
		Title: "the target is not among the files, but an object with a similar name is",
		Fix:   "correct spec.scaleTargetRef, or add the target's file",
	},
	{
		ID: "target-at-zero", Severity: Warning, Link: walk, judge: atZero,
		Title: "the target has 0 replicas, which switches the HPA off",
		Fix:   "set the target to 1 or more; to scale to zero, use minReplicas: 0 (Kubernetes 1.37) or KEDA",
	},
	{
		ID:       "metrics-server",
		Severity: Error,
		Link:     "https://github.com/kubernetes-sigs/metrics-server",
		judge:    metricsServer,
		Title:    "a resource metric is used, but metrics.k8s.io is not served",
		Fix: "helm repo add metrics-server https://kubernetes-sigs.github.io/metrics-server/ && helm upgrade " +
			"--install metrics-server metrics-server/metrics-server -n kube-system",
	},
	{
		ID: "missing-request", Severity: Error, Link: walk, judge: missingRequest,
		Title: "a container (or sidecar) lacks the request that a utilization target is relative to",
		Fix:   "set the request in every container, or use a ContainerResource metric for the one that matters",
	},
	{
		ID: "no-container", Severity: Error, Link: walk, judge: container,
		Title: "a ContainerResource metric names a container that the pods do not have",
		Fix:   "name a container of the pod",
	},
	{
		ID: "resource-metric", Severity: Error, Link: walk, judge: resourceMetric,
		Title: "a Resource metric is neither cpu nor memory",
		Fix:   "use a Pods or External metric from an adapter (for GPUs: requests running or waiting, from the server)",
	},
	{
		ID:       "odd-quantity",
		Severity: Warning,
		Link:     "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/",
		judge:    oddQuantity,
		Title:    "an amount of memory or CPU has no unit, or the wrong one",
		Fix:      "write the unit: Mi or Gi for memory, m for thousandths of a core",
	},
	{
		ID: "target-type", Severity: Info, Link: walk, judge: targetType,
		Title: "a metric target's type does not match the field that is set",
		Fix:   "set the type that matches the field",
	},
	{
		ID: "autoscaling-v1", Severity: Info, Link: walk, judge: autoscalingV1,
		Title: "the manifest is autoscaling/v1, which has no behavior and no metric except CPU",
		Fix:   "use apiVersion: autoscaling/v2",
	},
	{
		ID: "min-one", Severity: Warning, Link: walk, judge: minOne,
		Title: "minReplicas is 1 or absent",
		Fix:   "set minReplicas: 2 or more",
	},
	{
		ID: "scale-to-zero", Severity: Info, Link: walk, judge: zero,
		Title: "minReplicas is 0",
		Fix:   "use Kubernetes 1.37 or later, enable the feature gate, or scale from zero with KEDA",
	},
	{
		ID:       "fixed-size",
		Severity: Info,
		Link:     walk,
		judge:    frozen,
		Title:    "minReplicas equals maxReplicas",
		Fix: "remove the HPA, or raise maxReplicas; if the size is fixed on purpose, silence this check with " +
			"hpatune.dev/ignore",
	},
	{
		ID: "direction-disabled", Severity: Warning, Link: walk, judge: disabled,
		Title: "selectPolicy is Disabled, so the size never grows, or never falls",
		Fix:   "use selectPolicy: Max, and limit the speed with policies",
	},
	{
		ID: "no-series", Severity: Error, Link: walk, judge: noSeries,
		Title: "a metric has no series, or no adapter serves its API",
		Fix:   "use a metric that exists, and install an adapter that serves it",
	},
	{
		ID: "unreachable-target", Severity: Error, Link: walk, judge: unreachable,
		Title: "the metric cannot exceed target × (1 + tolerance), so the HPA never scales up",
		Fix:   "lower the target, or raise the limit",
	},
	{
		ID: "slow-growth", Severity: Warning, Link: walk, judge: slowGrowth,
		Title: "the limit caps usage, so each decision grows the size only a little",
		Fix:   "lower the target, or raise the limit relative to the request",
	},
	{
		ID: "memory-target", Severity: Warning, Link: walk, judge: memoryTarget,
		Title: "a memory target is set, and memory is not known to fall with the load",
		Fix:   "remove the memory metric; scale on concurrency, queue length or CPU, and let the limit bound memory",
	},
	{
		ID: "latency-signal", Severity: Warning, Link: walk, judge: latencySignal,
		Title: "the HPA scales on latency",
		Fix:   "scale on a metric that grows with the load before latency does: requests in flight or queue length, per pod",
	},
	{
		ID: "gpu-utilization", Severity: Warning, Link: walk, judge: gpuSignal,
		Title: "the HPA scales on GPU utilization",
		Fix:   "scale on the requests that run and wait, per pod",
	},
	{
		ID:       "counter-signal",
		Severity: Warning,
		Link:     "https://prometheus.io/docs/concepts/metric_types/#counter",
		judge:    counters,
		Title:    "the HPA scales on a counter, which never falls",
		Fix:      "use its rate",
	},
	{
		ID: "gone-metric", Severity: Warning, Link: "https://docs.vllm.ai/en/stable/usage/metrics/", judge: goneMetric,
		Title: "the server does not export this metric, or no longer does",
		Fix:   "use its current name",
	},
	{
		ID:       "misspelt-metric",
		Severity: Warning,
		Link:     "https://docs.vllm.ai/en/stable/usage/metrics/",
		judge:    misspeltMetric,
		Title:    "the metric's name is nearly that of a known server's metric",
		Fix:      "write the name as the server's /metrics has it",
	},
	{
		ID: "metric-unit", Severity: Warning, Link: walk, judge: metricUnit,
		Title: "the target is not in the metric's unit: percent for a ratio, milliseconds for seconds",
		Fix:   "write the target in the metric's unit",
	},
	{
		ID: "averaged-signal", Severity: Warning, Link: walk, judge: averagedSignal,
		Title: "AverageValue is used for an external metric that is already a mean",
		Fix:   "use type: Value (metricType: Value in KEDA); of what can be summed, a sum over the pods does, too",
	},
	{
		ID: "queue-value", Severity: Warning, Link: walk, judge: queueValue,
		Title: "Value is used for a queue length, which needs AverageValue",
		Fix:   "use type: AverageValue, with the number of requests that may wait per pod",
	},
	{
		ID: "no-behavior", Severity: Info, Link: walk, judge: noBehavior,
		Title: "behavior is not set, so the defaults apply",
		Fix:   "set behavior, with windows that fit the start-up time",
	},
	{
		ID: "short-window", Severity: Warning, Link: walk, judge: shortWindow,
		Title: "the scale-down window is shorter than the start-up time",
		Fix:   "set stabilizationWindowSeconds to the start-up time or more",
	},
	{
		ID: "policy-cascade", Severity: Warning, Link: walk, judge: cascade,
		Title: "a scale-up policy's period is shorter than the start-up time",
		Fix:   "set the policy's periodSeconds to the start-up time or more, or accept the overshoot in exchange for speed",
	},
	{
		ID: "dead-policy", Severity: Warning, Link: walk, judge: deadPolicy,
		Title: "a policy never takes effect between minReplicas and maxReplicas",
		Fix:   "remove it, or change its value",
	},
	{
		ID: "readiness", Severity: Warning, Link: probes, judge: readiness,
		Title: "a serving container has no readiness probe",
		Fix:   "add a readiness probe that succeeds only after the model is loaded",
	},
	{
		ID: "early-readiness", Severity: Warning, Link: probes, judge: earlyReadiness,
		Title: "readiness changes back and forth, or does not depend on the model",
		Fix:   "use an HTTP or gRPC probe that fails until the model is loaded",
	},
	{
		ID:       "grace-period",
		Severity: Warning,
		Link:     "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination",
		judge:    grace,
		Title:    "terminationGracePeriodSeconds is shorter than the longest answer",
		Fix:      "set terminationGracePeriodSeconds above the longest answer, and add a preStop sleep",
	},
	{
		ID: "manifest-replicas", Severity: Warning, Link: walk, judge: replicasBeside,
		Title: "the manifest sets replicas although an HPA scales the target",
		Fix:   "remove spec.replicas from the manifest",
	},
	{
		ID:       "selector-template",
		Severity: Warning,
		Link:     "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector",
		judge:    selectorTemplate,
		Title:    "a selector does not select the pods of its own template",
		Fix:      "give the template the labels of the selector",
	},
	{
		ID:       "shared-pods",
		Severity: Error,
		Link:     "https://github.com/kubernetes/kubernetes/issues/124307",
		judge:    strangers,
		Title:    "the target's selector also selects pods of other workloads",
		Fix: "give each workload a label of its own in its selector and template (a selector cannot be changed; " +
			"recreate the workload)",
	},
	{
		ID: "two-hpas", Severity: Error, Link: walk, judge: rivals,
		Title: "two HPAs scale one target, or pods with the same labels",
		Fix:   "keep one HPA with all metrics",
	},
	{
		ID: "written-twice", Severity: Warning, Link: walk, judge: twice,
		Title: "an HPA is in one file twice",
		Fix:   "keep one of them",
	},
	{
		ID: "hpa-and-keda", Severity: Error, Link: "https://keda.sh/docs/latest/reference/faq/", judge: kedaBeside,
		Title: "an HPA and a ScaledObject scale one target",
		Fix:   "move the HPA's metric to the ScaledObject as a trigger of type cpu or memory, and delete the HPA",
	},
	{
		ID:       "hpa-and-vpa",
		Severity: Error,
		Link:     "https://github.com/kubernetes/autoscaler/tree/master/vertical-pod-autoscaler",
		judge:    vpa,
		Title:    "a VPA changes the request that the HPA's utilization is relative to",
		Fix:      "set the VPA's updateMode: \"Off\", or remove that resource from every container's controlledResources",
	},
	{
		ID:       "pdb-blocks",
		Severity: Warning,
		Link:     "https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
		judge:    pdb,
		Title:    "a PodDisruptionBudget allows no eviction at minReplicas",
		Fix:      "use maxUnavailable: 1",
	},
	{
		ID:       "max-beyond-quota",
		Severity: Error,
		Link:     "https://kubernetes.io/docs/concepts/policy/resource-quotas/",
		judge:    quota,
		Title:    "the namespace's ResourceQuota does not allow maxReplicas",
		Fix:      "raise the quota, or lower maxReplicas",
	},
	{
		ID: "max-beyond-nodes", Severity: Warning, Link: walk, judge: nodes,
		Title: "the nodes do not have room for maxReplicas",
		Fix:   "lower maxReplicas, or make sure that a node autoscaler adds nodes",
	},
	{
		ID: "moving-tag", Severity: Warning, Link: "https://kubernetes.io/docs/concepts/containers/images/", judge: movingTag,
		Title: "an image has a moving tag (such as :latest) or none",
		Fix:   "use a version, or better a digest",
	},
	{
		ID: "far-request", Severity: Warning, Link: walk, judge: farRequest,
		Title: "the requests are far from the measured usage",
		Fix:   "set the request close to the usage of a pod at its intended load",
	},
	{
		ID: "coarse-tolerance", Severity: Info, Link: walk, judge: coarse,
		Title: "at large sizes, the tolerance hides the need for one more replica",
		Fix:   "set behavior.scaleUp.tolerance below 1/maxReplicas (Kubernetes 1.35 and later)",
	},
	{
		ID: refusedID, Severity: Error, Link: kedaSpec, judge: accepted,
		Title: "KEDA or the API server refuses the ScaledObject",
		Fix:   "correct the field; nothing else of this object is checked until then",
	},
	{
		ID: "keda-setting", Severity: Warning, Link: kedaSpec, judge: doubtful,
		Title: "a setting of a ScaledObject is accepted, and does not do what it says",
		Fix:   "correct or remove it",
	},
	{
		ID: "keda-cooldown", Severity: Warning, Link: kedaSpec, judge: cooldown,
		Title: "KEDA's cooldownPeriod is shorter than the start-up time",
		Fix:   "set cooldownPeriod above the start-up time",
	},
	{
		ID: "keda-wake", Severity: Error, Link: kedaSpec, judge: wake,
		Title: "every trigger reads a metric of the pods, and at zero there are no pods",
		Fix:   "add a trigger that counts requests outside the pods (at a gateway or in a queue), or set minReplicaCount: 1",
	},
	{
		ID: "keda-zero", Severity: Info, Link: kedaSpec, judge: fromZero,
		Title: "KEDA scales the target to zero",
		Fix:   "hold or retry requests in front of the pods, or set minReplicaCount: 1",
	},
	{
		ID: "keda-idle-setting", Severity: Info, Link: kedaSpec, judge: idleSettings,
		Title: "a setting has no effect in KEDA",
		Fix:   "remove it",
	},
	{
		ID: "keda-lost-metric", Severity: Info, Link: kedaSpec, judge: lostMetric,
		Title: "a query without series counts as zero load",
		Fix:   "set ignoreNullValues: \"false\" and a fallback",
	},
	{
		ID: "keda-series", Severity: Error, Link: kedaSpec, judge: manySeries,
		Title: "a query has one series for each pod, and KEDA wants a single one",
		Fix:   "aggregate it: sum(…) with metricType AverageValue, or avg(…) with metricType Value",
	},
	{
		ID: "keda-paused", Severity: Warning, Link: kedaSpec, judge: pausedKEDA,
		Title: "an annotation pauses KEDA",
		Fix:   "remove the annotation",
	},
	{
		ID: "keda-sum", Severity: Warning, Link: kedaSpec, judge: kedaSum,
		Title: "metricType Value is used for a sum over the pods",
		Fix:   "use metricType: AverageValue (the default) for a sum",
	},
	{
		ID: "keda-renamed", Severity: Warning, Link: kedaSpec, judge: renamed,
		Title: "a ScaledObject renames its HPA",
		Fix:   "rename it while the load is low, and update whatever refers to the old name",
	},
	{
		ID: "failing-event", Severity: Error, Link: walk, judge: failing,
		Title: "the autoscaler reports a failure",
		Fix:   "read the autoscaler's message; see also hpatune help checks",
	},
}
