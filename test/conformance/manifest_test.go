package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	"k8s.io/kubernetes/pkg/apis/autoscaling/validation"

	"github.com/hpatune/hpatune/tuner/manifest"
)

// upstream does what the API server does on create: defaults, conversion, validation.
func upstream(t *testing.T, h *autoscalingv2.HorizontalPodAutoscaler) []string {
	t.Helper()
	legacyscheme.Scheme.Default(h)
	var internal autoscaling.HorizontalPodAutoscaler
	if err := legacyscheme.Scheme.Convert(h, &internal, nil); err != nil {
		t.Fatal(err)
	}
	if internal.Namespace == "" {
		internal.Namespace = "default"
	}
	// pkg/registry/autoscaling/horizontalpodautoscaler/strategy.go, with HPAScaleToZero on.
	return errorTexts(validation.ValidateHorizontalPodAutoscaler(&internal, validation.HorizontalPodAutoscalerSpecValidationOptions{
		ScaleTargetRefValidationOptions: validation.CrossVersionObjectReferenceValidationOptions{AllowEmptyAPIGroup: internal.Spec.ScaleTargetRef.Kind == "ReplicationController"},
		ObjectMetricsValidationOptions:  validation.CrossVersionObjectReferenceValidationOptions{AllowEmptyAPIGroup: true},
	}))
}

// errorTexts returns the errors, sorted, each once. If a type is missing, upstream
// says that it is required, and then that "" is not a supported type: the second is
// left out.
func errorTexts(errs field.ErrorList) []string {
	required := map[string]bool{}
	for _, e := range errs {
		required[e.Field] = required[e.Field] || e.Type == field.ErrorTypeRequired
	}
	var out []string
	for _, e := range errs {
		if e.Type == field.ErrorTypeRequired || !required[e.Field] || fmt.Sprint(e.BadValue) != "" {
			out = append(out, fmt.Sprintf("%s %s %s", e.Field, e.Type, e.Detail))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestManifestAgainstAPIServer compares the defaults and the validation of
// tuner/manifest with the API server's code on random objects, most of which
// contain a mistake.
func TestManifestAgainstAPIServer(t *testing.T) {
	valid, invalid := 0, 0
	for i := range 5000 {
		r := rand.New(rand.NewPCG(*seed, uint64(i)))
		text, err := json.Marshal(object(r, 1+r.IntN(30)))
		if err != nil {
			t.Fatal(err)
		}
		var ours, theirs autoscalingv2.HorizontalPodAutoscaler
		if json.Unmarshal(text, &ours) != nil || json.Unmarshal(text, &theirs) != nil {
			t.Fatalf("object %d does not decode: %s", i, text)
		}
		manifest.Default(&ours.Spec)
		got, want := errorTexts(manifest.Validate(&ours)), upstream(t, &theirs)
		if !slices.Equal(got, want) {
			t.Fatalf("object %d: %s\nours   %s\ntheirs %s", i, text, strings.Join(got, "\n       "), strings.Join(want, "\n       "))
		}
		a, _ := json.Marshal(ours.Spec)
		b, _ := json.Marshal(theirs.Spec)
		if string(a) != string(b) {
			t.Fatalf("object %d: defaulted\nours   %s\ntheirs %s", i, a, b)
		}
		docs, problems := manifest.Parse("f", text)
		if (len(problems) == 0) != (len(want) == 0) || (docs[0].HPA != nil) != (len(want) == 0) {
			t.Fatalf("object %d: %s\nParse says %v, the API server %v", i, text, problems, want)
		}
		if len(want) == 0 {
			valid++
		} else {
			invalid++
		}
	}
	t.Logf("%d valid, %d invalid", valid, invalid)
	if valid < 500 || invalid < 500 {
		t.Errorf("%d valid, %d invalid: the test tests one side only", valid, invalid)
	}
}

// TestV1AgainstAPIServer converts random v2 objects to v1 with upstream's code,
// which puts what v1 cannot express into annotations, and reads them back.
func TestV1AgainstAPIServer(t *testing.T) {
	n := 0
	for i := range 3000 {
		r := rand.New(rand.NewPCG(*seed, uint64(i)))
		text, _ := json.Marshal(object(r, 1000))
		var h autoscalingv2.HorizontalPodAutoscaler
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatal(err)
		}
		if len(upstream(t, &h)) > 0 {
			continue
		}
		var internal autoscaling.HorizontalPodAutoscaler
		var old autoscalingv1.HorizontalPodAutoscaler
		if err := legacyscheme.Scheme.Convert(&h, &internal, nil); err != nil {
			t.Fatal(err)
		}
		if err := legacyscheme.Scheme.Convert(&internal, &old, nil); err != nil {
			t.Fatal(err)
		}
		old.APIVersion, old.Kind = "autoscaling/v1", "HorizontalPodAutoscaler"
		written, err := json.Marshal(&old)
		if err != nil {
			t.Fatal(err)
		}
		// Upstream's way back: v1 → internal → v2, with v2's defaults as on a read.
		var back autoscalingv2.HorizontalPodAutoscaler
		internal = autoscaling.HorizontalPodAutoscaler{}
		if err := legacyscheme.Scheme.Convert(&old, &internal, nil); err != nil {
			t.Fatal(err)
		}
		if err := legacyscheme.Scheme.Convert(&internal, &back, nil); err != nil {
			t.Fatal(err)
		}
		legacyscheme.Scheme.Default(&back)
		docs, problems := manifest.Parse("f", written)
		if len(problems) > 0 {
			t.Fatalf("object %d: %s\n%v", i, written, problems)
		}
		a, _ := json.Marshal(docs[0].HPA.Spec)
		b, _ := json.Marshal(back.Spec)
		if string(a) != string(b) {
			t.Fatalf("object %d: %s\nours   %s\ntheirs %s", i, written, a, b)
		}
		n++
	}
	if n < 500 {
		t.Errorf("%d objects compared", n)
	}
}

// object returns a random HPA; one choice in rare is wrong.
func object(r *rand.Rand, rare int) map[string]any {
	odd := func() bool { return r.IntN(rare) == 0 }
	pick := func(good []any, bad ...any) any {
		if odd() {
			return bad[r.IntN(len(bad))]
		}
		return good[r.IntN(len(good))]
	}
	m := map[string]any{}
	put := func(m map[string]any, key string, v any) {
		if v != nil && !odd() {
			m[key] = v
		}
	}
	maybe := func(v any) any {
		if r.IntN(2) == 0 {
			return nil
		}
		return v
	}
	name := func() any { return pick([]any{"web", "a.b"}, "A", "a/b", "..", "") }
	ref := func() map[string]any {
		x := map[string]any{}
		put(x, "apiVersion", pick([]any{"apps/v1"}, "v1", "a/b/c", ""))
		put(x, "kind", pick([]any{"Deployment", "StatefulSet"}, "ReplicationController", "", "a/b"))
		put(x, "name", name())
		return x
	}
	amount := func() any { return pick([]any{"1", "500m", "1Gi"}, "0", "-1") }
	target := func(fields ...string) map[string]any {
		x := map[string]any{}
		f := fields[r.IntN(len(fields))]
		put(x, "type", pick([]any{"Utilization", "Value", "AverageValue"}, "", "None"))
		for _, field := range []string{"averageUtilization", "averageValue", "value"} {
			if field != f && !odd() {
				continue
			}
			if field == "averageUtilization" {
				put(x, field, pick([]any{1, 70, 300}, 0, -5))
			} else {
				put(x, field, amount())
			}
		}
		return x
	}
	metricID := func() map[string]any {
		x := map[string]any{}
		put(x, "name", pick([]any{"queue", "A b"}, "", "a%b", "."))
		put(x, "selector", maybe(map[string]any{"matchLabels": map[string]any{"a": "b"}}))
		return x
	}
	source := func(kind string) map[string]any {
		x := map[string]any{}
		switch kind {
		case "resource":
			put(x, "name", pick([]any{"cpu", "memory"}, "", "x"))
			put(x, "target", target("averageUtilization", "averageValue"))
		case "containerResource":
			put(x, "name", pick([]any{"cpu", "nvidia.com/gpu", "hugepages-2Mi"}, "", "x", "pods", "requests.a/b", "x.kubernetes.io/y", "a/b/c"))
			put(x, "container", pick([]any{"app"}, "A", ""))
			put(x, "target", target("averageUtilization", "averageValue"))
		case "pods":
			put(x, "metric", metricID())
			put(x, "target", target("averageValue"))
		case "object":
			put(x, "describedObject", ref())
			put(x, "metric", metricID())
			put(x, "target", target("value", "averageValue"))
		case "external":
			put(x, "metric", metricID())
			put(x, "target", target("value", "averageValue"))
		}
		return x
	}
	rules := func() any {
		x := map[string]any{}
		put(x, "stabilizationWindowSeconds", maybe(pick([]any{0, 60, 3600}, -1, 3601)))
		put(x, "selectPolicy", maybe(pick([]any{"Max", "Min", "Disabled"}, "", "max")))
		put(x, "tolerance", maybe(pick([]any{"0", "0.05", "2"}, "-0.1")))
		var ps []any
		for range r.IntN(3) {
			p := map[string]any{}
			put(p, "type", pick([]any{"Pods", "Percent"}, "", "x"))
			put(p, "value", pick([]any{1, 100, 4000}, 0, -1))
			put(p, "periodSeconds", pick([]any{1, 15, 1800}, 0, 1801))
			ps = append(ps, p)
		}
		if len(ps) > 0 || odd() {
			x["policies"] = append([]any{}, ps...)
		}
		return x
	}
	kinds := []string{"resource", "containerResource", "pods", "object", "external"}
	spec := map[string]any{}
	put(spec, "scaleTargetRef", ref())
	put(spec, "minReplicas", maybe(pick([]any{1, 2, 5}, 0, -1, 100)))
	put(spec, "maxReplicas", pick([]any{5, 10, 50}, 0, -1))
	var ms []any
	for range r.IntN(4) {
		x := map[string]any{}
		kind := kinds[r.IntN(5)]
		x[kind] = source(kind)
		put(x, "type", pick([]any{strings.ToUpper(kind[:1]) + kind[1:]}, "", "None", "Pods"))
		if odd() {
			other := kinds[r.IntN(5)]
			x[other] = source(other)
		}
		if odd() {
			delete(x, kind)
		}
		ms = append(ms, x)
	}
	if ms != nil {
		spec["metrics"] = ms
	}
	if r.IntN(2) == 0 {
		b := map[string]any{}
		put(b, "scaleUp", maybe(rules()))
		put(b, "scaleDown", maybe(rules()))
		spec["behavior"] = b
	}
	meta := map[string]any{}
	put(meta, "name", pick([]any{"h", "h-1.x"}, "H", "", "-"))
	put(meta, "namespace", maybe(pick([]any{"n"}, "N", "a.b")))
	put(meta, "labels", maybe(map[string]any{"a": pick([]any{"b"}, "b c")}))
	m["apiVersion"], m["kind"], m["metadata"], m["spec"] = "autoscaling/v2", "HorizontalPodAutoscaler", meta, spec
	return m
}
