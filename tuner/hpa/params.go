package hpa

import "time"

// Params is how kube-controller-manager runs: its flags, gates and release.
//
// Managed control planes hide these; DefaultParams is then an assumption, and should be reported as
// one.
type Params struct {
	SyncPeriod              time.Duration // --horizontal-pod-autoscaler-sync-period; callers pace by it, Step does not
	Tolerance               float64       // --horizontal-pod-autoscaler-tolerance, a ratio
	DownscaleStabilization  time.Duration // --horizontal-pod-autoscaler-downscale-stabilization
	CPUInitializationPeriod time.Duration // --horizontal-pod-autoscaler-cpu-initialization-period
	InitialReadinessDelay   time.Duration // --horizontal-pod-autoscaler-initial-readiness-delay
	Gates                   Gates
	// Release is the minor release of Kubernetes 1, 30…37; 0 is 37. 37 was checked by running the
	// real code. The differences before it were read in the code of 1.31 to 1.36, not run (1.30 is
	// assumed to equal 1.31; texts are those of 1.37):
	//
	//	< 37  no observedGeneration in the status
	//	< 36  at zero replicas minReplicas 0 alone keeps the HPA active; no condition ScaledToZero
	//	< 35  a container that no pod has requests nothing, and is no error; Value targets overflow
	//	      int32, and sums of an External one int64
	//	< 34  a conflict when writing the scale is not retried; pod-level requests are not looked at;
	//	      an External AverageValue overflows
	//	< 33  tolerance tests |1 − ratio| ≤ tolerance, so 1.1 is outside 0.1; the HPA has none of its own
	Release int
}

// Gates are the feature gates that change decisions.
type Gates struct {
	ScaleToZero           bool // HPAScaleToZero: beta and on from 1.37; alpha before
	ConfigurableTolerance bool // HPAConfigurableTolerance: on from 1.35, locked in 1.37
	PodLevelResources     bool // PodLevelResources: on from 1.34
}

// Latest is the minor release whose code the core was checked against.
const Latest = 37

// Oldest is the oldest minor release whose differences are known.
const Oldest = 30

// DefaultParams returns the flags' defaults and the gates of 1.37.
func DefaultParams() Params { return ParamsFor(Latest) }

// ParamsFor returns the flags' defaults and the gates of minor release 30…37 (others: 37).
// Source: pkg/controller/podautoscaler/config/v1alpha1/defaults.go, pkg/features/kube_features.go.
func ParamsFor(release int) Params {
	if release < Oldest || release > Latest {
		release = Latest
	}
	return Params{
		SyncPeriod:              15 * time.Second,
		Tolerance:               0.1,
		DownscaleStabilization:  5 * time.Minute,
		CPUInitializationPeriod: 5 * time.Minute,
		InitialReadinessDelay:   30 * time.Second,
		Gates: Gates{
			ScaleToZero:           release >= 37,
			ConfigurableTolerance: release >= 35,
			PodLevelResources:     release >= 34,
		},
		Release: release,
	}
}

// Identity names the HPA and its target where texts and errors name them. Empty fields read
// as namespace "default", HPA "web", kind "Deployment", target "web".
type Identity struct{ Namespace, Name, Kind, Target string }

func (i Identity) orDefault() Identity {
	or := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	or(&i.Namespace, "default")
	or(&i.Name, "web")
	or(&i.Kind, "Deployment")
	or(&i.Target, "web")
	return i
}
