package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/keda"
)

// KEDAVersion is the release whose code this follows.
const KEDAVersion = "2.21.0"

// ScaledObject is the part of KEDA's object that says how a target is scaled. Other fields
// (authenticationRef's parameters, fields of later releases) stay in the document, and in
// what Rewrite returns.
//
// Source: kedacore/keda v2.21.0 apis/keda/v1alpha1/scaledobject_types.go.
type ScaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              ScaledObjectSpec   `json:"spec"`
	Status            ScaledObjectStatus `json:"status"`
}

// ScaledObjectStatus is what KEDA wrote about the HPA that it made.
type ScaledObjectStatus struct {
	HPAName             string   `json:"hpaName"`
	ExternalMetricNames []string `json:"externalMetricNames"`
}

// ScaledObjectSpec is a ScaledObject's spec; nil = not set.
type ScaledObjectSpec struct {
	ScaleTargetRef        ScaleTarget `json:"scaleTargetRef"`
	PollingInterval       *int32      `json:"pollingInterval"`       // seconds
	InitialCooldownPeriod *int32      `json:"initialCooldownPeriod"` // seconds
	CooldownPeriod        *int32      `json:"cooldownPeriod"`        // seconds
	IdleReplicaCount      *int32      `json:"idleReplicaCount"`
	MinReplicaCount       *int32      `json:"minReplicaCount"`
	MaxReplicaCount       *int32      `json:"maxReplicaCount"`
	Advanced              *Advanced   `json:"advanced"`
	Triggers              []Trigger   `json:"triggers"`
	Fallback              *Fallback   `json:"fallback"`
}

// ScaleTarget names what is scaled: by default a Deployment of apps/v1.
type ScaleTarget struct {
	APIVersion             string `json:"apiVersion"`
	Kind                   string `json:"kind"`
	Name                   string `json:"name"`
	EnvSourceContainerName string `json:"envSourceContainerName"`
}

// Advanced is what affects the HPA besides bounds and metrics.
type Advanced struct {
	HorizontalPodAutoscalerConfig *HPAConfig        `json:"horizontalPodAutoscalerConfig"`
	RestoreToOriginalReplicaCount bool              `json:"restoreToOriginalReplicaCount"`
	ScalingModifiers              *ScalingModifiers `json:"scalingModifiers"`
}

// HPAConfig is passed on to the HPA.
type HPAConfig struct {
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior"`
	Name     string                                         `json:"name"`
}

// ScalingModifiers make one metric of all external ones.
type ScalingModifiers struct {
	Formula          string                         `json:"formula"`
	Target           string                         `json:"target"`
	ActivationTarget string                         `json:"activationTarget"`
	MetricType       autoscalingv2.MetricTargetType `json:"metricType"`
}

// Trigger is one signal. Metadata are the scaler's own fields, all text.
type Trigger struct {
	Type              string                         `json:"type"`
	Name              string                         `json:"name"`
	UseCachedMetrics  bool                           `json:"useCachedMetrics"`
	Metadata          map[string]string              `json:"metadata"`
	AuthenticationRef *AuthenticationRef             `json:"authenticationRef"`
	MetricType        autoscalingv2.MetricTargetType `json:"metricType"`
}

// AuthenticationRef names a TriggerAuthentication.
type AuthenticationRef struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// Fallback is the size while a trigger fails.
type Fallback struct {
	FailureThreshold int32  `json:"failureThreshold"`
	Replicas         int32  `json:"replicas"`
	Behavior         string `json:"behavior"` // "" = static
}

// KEDA's defaults. Source: scaledobject_types.go, withtriggers_types.go and
// pkg/scaling/executor/scale_executor.go, v2.21.0.
const kedaMax int32 = 100

// HPAName is the name of the HPA that KEDA makes.
func (o *ScaledObject) HPAName() string {
	if a := o.Spec.Advanced; a != nil && a.HorizontalPodAutoscalerConfig != nil &&
		a.HorizontalPodAutoscalerConfig.Name != "" {
		return a.HorizontalPodAutoscalerConfig.Name
	}
	return "keda-hpa-" + o.Name
}

// Target is the scale target with KEDA's defaults: a Deployment of apps/v1.
//
// Source: apis/keda/v1alpha1/gvkr_types.go (ParseGVKR).
func (o *ScaledObject) Target() autoscalingv2.CrossVersionObjectReference {
	r := o.Spec.ScaleTargetRef
	out := autoscalingv2.CrossVersionObjectReference{APIVersion: r.APIVersion, Kind: r.Kind, Name: r.Name}
	if out.APIVersion == "" {
		out.APIVersion = "apps/v1"
	}
	if out.Kind == "" {
		out.Kind = "Deployment"
	}
	return out
}

// Min is minReplicaCount as KEDA's own loop reads it: 0 if it is not set.
func (o *ScaledObject) Min() int32 { return deref(o.Spec.MinReplicaCount, 0) }

// Max is maxReplicaCount, 100 if it is not set.
func (o *ScaledObject) Max() int32 { return deref(o.Spec.MaxReplicaCount, kedaMax) }

// Polling is how often KEDA's own loop polls the triggers, by default every 30 s. It only
// matters for scaling from and to zero or idle, and with useCachedMetrics.
func (o *ScaledObject) Polling() time.Duration {
	return time.Duration(deref(o.Spec.PollingInterval, int32(keda.DefaultPolling/time.Second))) * time.Second
}

// Cooldown is how long all triggers must be inactive before the size falls to zero or idle,
// by default 5 minutes.
func (o *ScaledObject) Cooldown() time.Duration {
	return time.Duration(deref(o.Spec.CooldownPeriod, int32(keda.DefaultCooldown/time.Second))) * time.Second
}

// PollingMatters reports whether KEDA's own loop changes the size or feeds the HPA.
//
// Source: scaledobject_types.go, IsPollingIntervalRelevant.
func (o *ScaledObject) PollingMatters() bool {
	return o.Min() == 0 || o.Spec.IdleReplicaCount != nil ||
		slices.ContainsFunc(o.Spec.Triggers, func(t Trigger) bool { return t.UseCachedMetrics })
}

// modifiers returns the scaling modifiers if any of their fields is set.
func (o *ScaledObject) modifiers() *ScalingModifiers {
	if o.Spec.Advanced == nil || o.Spec.Advanced.ScalingModifiers == nil ||
		*o.Spec.Advanced.ScalingModifiers == (ScalingModifiers{}) {
		return nil
	}
	return o.Spec.Advanced.ScalingModifiers
}

// Annotations that stop KEDA. Source: scaledobject_types.go.
const (
	kedaPaused         = "autoscaling.keda.sh/paused"
	kedaPausedReplicas = "autoscaling.keda.sh/paused-replicas"
	kedaPausedIn       = "autoscaling.keda.sh/paused-scale-in"
	kedaPausedOut      = "autoscaling.keda.sh/paused-scale-out"
	kedaForced         = "autoscaling.keda.sh/force-activation"
	kedaExcluded       = "scaledobject.keda.sh/hpa-excluded-labels"
	kedaTransfer       = "scaledobject.keda.sh/transfer-hpa-ownership"
	kedaOwner          = "scaledobject.keda.sh/name"
)

// Paused reports whether an annotation stops all scaling; at is the size that it fixes, or
// -1 if it keeps the current size. KEDA deletes the HPA in the meantime.
func (o *ScaledObject) Paused() (at int32, paused bool) {
	if text, has := o.Annotations[kedaPausedReplicas]; has {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return -1, true
		}
		return int32(n), true
	}
	return -1, o.switched(kedaPaused)
}

// switched reads a yes-or-no annotation: anything that is not a boolean is yes.
func (o *ScaledObject) switched(name string) bool {
	text, has := o.Annotations[name]
	if !has {
		return false
	}
	on, err := strconv.ParseBool(text)
	return on || err != nil
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// scaledObject reads a ScaledObject and builds its HPA; with Unchecked, one that KEDA
// would refuse has none. Unknown fields are warnings, since later releases have more.
func (o Options) scaledObject(d *Doc, problems *source.Problems) {
	k := &ScaledObject{}
	for _, p := range tidy(d.doc.Decode(k)) {
		if strings.HasPrefix(p.Path, "status") {
			continue // KEDA's own
		}
		if strings.HasPrefix(p.Text, "unknown field") {
			p.Text += fmt.Sprintf(" in KEDA %s; it is ignored, and kept when the object is written", KEDAVersion)
			d.Warnings = append(d.Warnings, p)
			continue
		}
		d.Refused = append(d.Refused, p) // the API server rejects a value of the wrong type
	}
	if *problems = append(*problems, d.Refused...); len(*problems) > 0 {
		if k.Name != "" {
			d.Scaled = k
		}
		return
	}
	if !o.Unchecked {
		faults, doubts := k.check()
		for _, f := range faults {
			d.Refused = append(d.Refused, d.doc.Problem(f.path, f.text, f.try))
		}
		for _, f := range doubts {
			d.Warnings = append(d.Warnings, d.doc.Problem(f.path, f.text, f.try))
		}
		if *problems = append(*problems, d.Refused...); len(*problems) > 0 {
			d.Scaled = k
			return
		}
	}
	d.Scaled = k
	h, origin, err := k.HPA()
	switch {
	case err == nil:
		d.HPA, d.origin = h, origin
	case !o.Unchecked: // an object in a cluster is what it is
		d.Refused = source.Problems{d.doc.Problem("spec.triggers", err.Error(), "")}
		*problems = append(*problems, d.Refused...)
	}
}
