package manifest

import (
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/internal/source"
)

// KServe's annotations.
const (
	kserveMode   = "serving.kserve.io/deploymentMode"
	kserveClass  = "serving.kserve.io/autoscalerClass"
	kserveMetric = "serving.kserve.io/metric"
	kserveTarget = "serving.kserve.io/targetUtilizationPercentage"
)

// inferenceService is the part of an InferenceService that makes an HPA.
type inferenceService struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Predictor struct {
			MinReplicas *int32 `json:"minReplicas"`
			MaxReplicas int32  `json:"maxReplicas"`
			ScaleMetric string `json:"scaleMetric"`
			ScaleTarget *int32 `json:"scaleTarget"`
		} `json:"predictor"`
	} `json:"spec"`
}

// inference builds the HPA that KServe makes of an InferenceService in raw
// deployment mode: CPU or memory utilization of the predictor, 80 % unless said.
// In the other modes, and where no mode is said, another autoscaler may size it,
// and d has no HPA.
//
// Source: kserve/kserve pkg/controller/v1beta1/inferenceservice/reconcilers/hpa
// (createHPA, getHPAMetrics), v0.15.
func (o Options) inference(d *Doc, problems *source.Problems) {
	var s inferenceService
	for _, p := range d.doc.Decode(&s) {
		if p.Path == "spec.predictor.minReplicas" || p.Path == "spec.predictor.maxReplicas" ||
			p.Path == "spec.predictor.scaleTarget" {
			*problems = append(*problems, p)
		}
	}
	mode, class := s.Metadata.Annotations[kserveMode], s.Metadata.Annotations[kserveClass]
	if mode != "RawDeployment" && mode != "Standard" || class != "" && class != "hpa" || len(*problems) > 0 {
		return
	}
	p := &s.Spec.Predictor
	d.paths = map[string]string{
		"spec.minReplicas": "spec.predictor.minReplicas", "spec.maxReplicas": "spec.predictor.maxReplicas",
		"spec.metrics": "spec.predictor.scaleMetric", "spec.scaleTargetRef": "spec.predictor", "spec": "spec.predictor",
	}
	name, target := corev1.ResourceCPU, int32(80)
	if text, has := s.Metadata.Annotations[kserveMetric]; has {
		name, d.paths["spec.metrics"] = corev1.ResourceName(text), "metadata.annotations["+kserveMetric+"]"
	}
	if text, has := s.Metadata.Annotations[kserveTarget]; has {
		at := "metadata.annotations[" + kserveTarget + "]"
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 1 {
			*problems = append(*problems, d.doc.Problem(at, strconv.Quote(text)+" is not a percentage above 0", `"80"`))
			return
		}
		target = int32(n)
		if _, has := s.Metadata.Annotations[kserveMetric]; !has {
			d.paths["spec.metrics"] = at
		}
	}
	if p.ScaleMetric != "" {
		name, d.paths["spec.metrics"] = corev1.ResourceName(p.ScaleMetric), "spec.predictor.scaleMetric"
	}
	if p.ScaleTarget != nil {
		target = *p.ScaleTarget
	}
	lo := max(deref(p.MinReplicas, 1), 1)
	h := &autoscalingv2.HorizontalPodAutoscaler{}
	h.APIVersion, h.Kind = "autoscaling/v2", kindHPA
	h.Name, h.Namespace, h.Annotations = s.Metadata.Name+"-predictor", s.Metadata.Namespace, s.Metadata.Annotations
	m := cpuMetric(target)
	m.Resource.Name = name
	h.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: h.Name},
		MinReplicas:    &lo, MaxReplicas: max(p.MaxReplicas, lo), Metrics: []autoscalingv2.MetricSpec{m},
		Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{},
	}
	Default(&h.Spec)
	d.HPA = h
}
