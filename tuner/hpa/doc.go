// Package hpa decides as the HorizontalPodAutoscaler controller of Kubernetes does: the same
// replicas, conditions, reasons, events and error texts, reconcile by reconcile.
//
// A [Controller] is one HPA in the memory of kube-controller-manager. [Controller.Step] is one
// reconcile: it takes what the controller would have seen ([Observation]) and fills a [Decision].
// There is no clock, no I/O and no log here, and nothing but the standard library; time is an
// argument, counted from an origin that the caller chooses.
//
//	c := hpa.New(hpa.DefaultParams())
//	var d hpa.Decision
//	c.Step(&hpa.Observation{At: 0, Spec: spec, SpecReplicas: 3, StatusReplicas: 3, Selector: "app=web",
//		Pods: pods, Metrics: readings}, &d)
//	fmt.Println(d.Replicas, d.Explain())
//
// The files follow k8s.io/kubernetes v1.37.2, pkg/controller/podautoscaler: controller.go follows
// horizontal.go's reconcileAutoscaler, behavior.go its normalization, replicas.go follows
// replica_calculator.go and metrics/utilization.go, memory.go the recommendation and event lists.
// Releases 1.30 to 1.36 are selected by [Params.Release]; params.go lists how they differ, as read
// in their code; they were not run.
//
// Arithmetic is upstream's: int32 replicas, int64 thousandths, float64 ratios, whole percents.
// A float too large for an int32 becomes −2147483648, as on amd64 (arm64 saturates instead).
package hpa
