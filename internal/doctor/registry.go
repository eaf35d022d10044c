package doctor

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
	walk     = "https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/"
	kedaSpec = "https://keda.sh/docs/latest/reference/scaledobject-spec/"
	probes   = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
)

// Checks is the registry, in the order of the list that help prints.
var Checks = []Check{
	{
		ID: "target-kind", Severity: Error, Link: walk, judge: targetKind,
		Title: "scaleTargetRef names a group or a kind that the API does not have, or one without /scale",
		Fix:   "correct spec.scaleTargetRef",
	},
	{
		ID: "target-missing", Severity: Warning, Link: walk, judge: targetMissing,
		Title: "the target is not among the files, and another object nearly is",
		Fix:   "correct spec.scaleTargetRef, or add the target's file",
	},
	{
		ID: "target-at-zero", Severity: Warning, Link: walk, judge: atZero,
		Title: "the target stands at 0 replicas, which switches the HPA off",
		Fix:   "set the target to 1 or more; to scale to zero, use minReplicas: 0 (Kubernetes 1.37) or KEDA",
	},
	{
		ID:       "metrics-server",
		Severity: Error,
		Link:     "https://github.com/kubernetes-sigs/metrics-server",
		judge:    metricsServer,
		Title:    "a resource metric is used, and metrics.k8s.io is not served",
		Fix:      "helm repo add metrics-server https://kubernetes-sigs.github.io/metrics-server/ && helm upgrade --install metrics-server metrics-server/metrics-server -n kube-system",
	},
	{
		ID: "missing-request", Severity: Error, Link: walk, judge: missingRequest,
		Title: "a container, sidecars included, lacks the request that a utilization target divides by",
		Fix:   "set the request in every container, or use a ContainerResource metric for the one that matters",
	},
	{
		ID: "no-container", Severity: Error, Link: walk, judge: container,
		Title: "a ContainerResource metric of a container that the pods have not",
		Fix:   "name a container of the pod",
	},
	{
		ID: "resource-metric", Severity: Error, Link: walk, judge: resourceMetric,
		Title: "a Resource metric that is not cpu or memory",
		Fix:   "use a Pods or External metric from an adapter (for GPUs: requests running or waiting, from the server)",
	},
	{
		ID:       "odd-quantity",
		Severity: Warning,
		Link:     "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/",
		judge:    oddQuantity,
		Title:    "an amount of memory or CPU without its unit",
		Fix:      "write the unit: Mi or Gi for memory, m for thousandths of a core",
	},
	{
		ID: "target-type", Severity: Info, Link: walk, judge: targetType,
		Title: "the type of a target and the field that is set differ",
		Fix:   "write the type that belongs to the field",
	},
	{
		ID: "autoscaling-v1", Severity: Info, Link: walk, judge: autoscalingV1,
		Title: "the manifest is autoscaling/v1, which knows no behavior and no metric but CPU",
		Fix:   "write apiVersion: autoscaling/v2",
	},
	{
		ID: "min-one", Severity: Warning, Link: walk, judge: minOne,
		Title: "minReplicas is 1 or absent",
		Fix:   "set minReplicas: 2 or more",
	},
	{
		ID: "scale-to-zero", Severity: Info, Link: walk, judge: zero,
		Title: "minReplicas is 0",
		Fix:   "run Kubernetes 1.37 or later, or switch the gate on; or scale from zero with KEDA",
	},
	{
		ID: "fixed-size", Severity: Info, Link: walk, judge: frozen,
		Title: "minReplicas equals maxReplicas",
		Fix:   "remove the HPA, or give it room; a size that is pinned on purpose can be silenced with hpatune.dev/ignore",
	},
	{
		ID: "direction-disabled", Severity: Warning, Link: walk, judge: disabled,
		Title: "selectPolicy Disabled: the size never grows, or never falls",
		Fix:   "set selectPolicy: Max, and limit the speed by policies instead",
	},
	{
		ID: "no-series", Severity: Error, Link: walk, judge: noSeries,
		Title: "a metric has no series, or no adapter serves its API",
		Fix:   "name a metric that exists, and install an adapter that serves it",
	},
	{
		ID: "unreachable-target", Severity: Error, Link: walk, judge: unreachable,
		Title: "the metric cannot rise past target × (1 + tolerance)",
		Fix:   "lower the target, or raise the limit",
	},
	{
		ID: "slow-growth", Severity: Warning, Link: walk, judge: slowGrowth,
		Title: "the limit caps usage, so that each decision can grow the size only a little",
		Fix:   "lower the target, or raise the limit over the request",
	},
	{
		ID: "memory-target", Severity: Warning, Link: walk, judge: memoryTarget,
		Title: "a memory target, and memory was not seen to fall with load",
		Fix:   "remove the memory metric; scale on concurrency, queue or CPU, and bound memory by its limit",
	},
	{
		ID: "latency-signal", Severity: Warning, Link: walk, judge: latencySignal,
		Title: "latency is the signal",
		Fix:   "scale on what grows with load before latency does: requests in flight, or queue length, per pod",
	},
	{
		ID: "gpu-utilization", Severity: Warning, Link: walk, judge: gpuSignal,
		Title: "GPU utilization is the signal",
		Fix:   "scale on requests running and waiting per pod",
	},
	{
		ID:       "counter-signal",
		Severity: Warning,
		Link:     "https://prometheus.io/docs/concepts/metric_types/#counter",
		judge:    counters,
		Title:    "a counter is the signal, which never falls",
		Fix:      "use a rate of it",
	},
	{
		ID: "gone-metric", Severity: Warning, Link: "https://docs.vllm.ai/en/stable/usage/metrics/", judge: goneMetric,
		Title: "a metric that its server does not export, or not any more",
		Fix:   "use its present name",
	},
	{
		ID: "metric-unit", Severity: Warning, Link: walk, judge: metricUnit,
		Title: "a target in another unit than its metric: percent for a ratio, milliseconds for seconds",
		Fix:   "write the target in the metric's unit",
	},
	{
		ID: "averaged-signal", Severity: Warning, Link: walk, judge: averagedSignal,
		Title: "an external metric that is a mean already, with AverageValue",
		Fix:   "use type: Value (metricType: Value in KEDA), or a sum over the pods",
	},
	{
		ID: "queue-value", Severity: Warning, Link: walk, judge: queueValue,
		Title: "a queue's depth with Value where AverageValue is meant",
		Fix:   "use type: AverageValue with what one pod may have waiting",
	},
	{
		ID: "no-behavior", Severity: Info, Link: walk, judge: noBehavior,
		Title: "no behavior: the defaults count",
		Fix:   "write behavior out, with windows that fit the start-up time",
	},
	{
		ID: "short-window", Severity: Warning, Link: walk, judge: shortWindow,
		Title: "the scale-down window is shorter than start-up",
		Fix:   "make stabilizationWindowSeconds at least the start-up time",
	},
	{
		ID: "policy-cascade", Severity: Warning, Link: walk, judge: cascade,
		Title: "a scale-up policy's period is shorter than start-up",
		Fix:   "make the policy's periodSeconds at least the start-up time, or accept the overshoot for speed",
	},
	{
		ID: "dead-policy", Severity: Warning, Link: walk, judge: deadPolicy,
		Title: "a policy can never bind between min and max",
		Fix:   "remove it, or give it a value that can bind",
	},
	{
		ID: "readiness", Severity: Warning, Link: probes, judge: readiness,
		Title: "a container that serves has no readiness probe",
		Fix:   "add a readiness probe that answers only once the model is loaded",
	},
	{
		ID: "early-readiness", Severity: Warning, Link: probes, judge: earlyReadiness,
		Title: "readiness was seen to flip, or says nothing of the model",
		Fix:   "probe over HTTP or gRPC a path that fails until the model is loaded",
	},
	{
		ID:       "grace-period",
		Severity: Warning,
		Link:     "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination",
		judge:    grace,
		Title:    "terminationGracePeriodSeconds is shorter than the longest answer",
		Fix:      "set terminationGracePeriodSeconds above the longest answer, and a preStop pause",
	},
	{
		ID: "manifest-replicas", Severity: Warning, Link: walk, judge: replicasBeside,
		Title: "replicas stand in the manifest beside an HPA",
		Fix:   "remove spec.replicas from the manifest",
	},
	{
		ID:       "selector-template",
		Severity: Warning,
		Link:     "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector",
		judge:    selectorTemplate,
		Title:    "a selector that does not select the pods of its own template",
		Fix:      "give the template the labels of the selector",
	},
	{
		ID:       "shared-pods",
		Severity: Error,
		Link:     "https://github.com/kubernetes/kubernetes/issues/124307",
		judge:    strangers,
		Title:    "the target's selector selects pods of others, too",
		Fix:      "give each workload a label of its own in selector and template (a selector cannot be changed: make the workload anew)",
	},
	{
		ID: "two-hpas", Severity: Error, Link: walk, judge: rivals,
		Title: "two HPAs on one target, or on pods of the same labels",
		Fix:   "keep one HPA, with all metrics in it",
	},
	{
		ID: "written-twice", Severity: Warning, Link: walk, judge: twice,
		Title: "an HPA stands in one file twice",
		Fix:   "keep one of them",
	},
	{
		ID: "hpa-and-keda", Severity: Error, Link: "https://keda.sh/docs/latest/reference/faq/", judge: kedaBeside,
		Title: "an HPA and a ScaledObject on one target",
		Fix:   "keep the ScaledObject, with the HPA's metric as a trigger of type cpu or memory, and delete the HPA",
	},
	{
		ID:       "hpa-and-vpa",
		Severity: Error,
		Link:     "https://github.com/kubernetes/autoscaler/tree/master/vertical-pod-autoscaler",
		judge:    vpa,
		Title:    "a VPA changes the request that the HPA's utilization divides by",
		Fix:      "set the VPA's updateMode: \"Off\", or leave that resource out of every container's controlledResources",
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
		Title:    "maxReplicas do not fit the namespace's ResourceQuota",
		Fix:      "raise the quota, or lower maxReplicas",
	},
	{
		ID: "max-beyond-nodes", Severity: Warning, Link: walk, judge: nodes,
		Title: "maxReplicas do not fit the nodes there are",
		Fix:   "lower maxReplicas, or make sure that a node autoscaler adds nodes",
	},
	{
		ID: "moving-tag", Severity: Warning, Link: "https://kubernetes.io/docs/concepts/containers/images/", judge: movingTag,
		Title: "an image has :latest, a moving tag or none",
		Fix:   "name a version, better a digest",
	},
	{
		ID: "far-request", Severity: Warning, Link: walk, judge: farRequest,
		Title: "requests are far from measured use",
		Fix:   "set the request close to the use of a pod under its intended load",
	},
	{
		ID: "coarse-tolerance", Severity: Info, Link: walk, judge: coarse,
		Title: "tolerance makes one more replica unreachable at large sizes",
		Fix:   "set behavior.scaleUp.tolerance below 1/maxReplicas (Kubernetes 1.35 and later)",
	},
	{
		ID: "keda-cooldown", Severity: Warning, Link: kedaSpec, judge: cooldown,
		Title: "KEDA's cooldownPeriod is shorter than start-up",
		Fix:   "set cooldownPeriod above the start-up time",
	},
	{
		ID: "keda-wake", Severity: Error, Link: kedaSpec, judge: wake,
		Title: "every trigger reads what the pods export, and there are none at zero",
		Fix:   "add a trigger that sees requests from outside (a gateway's or queue's count), or set minReplicaCount: 1",
	},
	{
		ID: "keda-zero", Severity: Info, Link: kedaSpec, judge: fromZero,
		Title: "KEDA scales the target to zero",
		Fix:   "let something hold or retry requests, or set minReplicaCount: 1",
	},
	{
		ID: "keda-idle-setting", Severity: Info, Link: kedaSpec, judge: idleSettings,
		Title: "a setting that KEDA passes over",
		Fix:   "leave it out",
	},
	{
		ID: "keda-lost-metric", Severity: Info, Link: kedaSpec, judge: lostMetric,
		Title: "a query without series counts as no load",
		Fix:   "set ignoreNullValues: \"false\" and a fallback",
	},
	{
		ID: "keda-paused", Severity: Warning, Link: kedaSpec, judge: pausedKEDA,
		Title: "an annotation pauses KEDA",
		Fix:   "remove the annotation",
	},
	{
		ID: "keda-sum", Severity: Warning, Link: kedaSpec, judge: kedaSum,
		Title: "a sum over the pods with metricType Value",
		Fix:   "use metricType: AverageValue (the default) with a sum",
	},
	{
		ID: "keda-renamed", Severity: Warning, Link: kedaSpec, judge: renamed,
		Title: "the HPA of a ScaledObject is to have another name",
		Fix:   "rename it while the load is low, and name the new one to whatever reads it",
	},
	{
		ID: "failing-event", Severity: Error, Link: walk, judge: failing,
		Title: "the autoscaler reports a failure",
		Fix:   "see what the autoscaler says, and hpatune help checks",
	},
}
