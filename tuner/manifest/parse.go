package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Doc is one object of a manifest file, of any kind.
type Doc struct {
	File       string
	Line       int // where it begins
	APIVersion string
	Kind       string
	Namespace  string // "" = not said
	Name       string
	// HPA is the object as autoscaling/v2 with the API server's defaults, or the one
	// that KEDA makes of a ScaledObject, or KServe of an InferenceService in raw
	// deployment mode; nil for other kinds and for one with problems.
	HPA *autoscalingv2.HorizontalPodAutoscaler
	// Scaled is a ScaledObject; HPA is then the one that KEDA makes of it.
	Scaled *ScaledObject
	// Problems are what is wrong with it; HPA is then nil.
	Problems source.Problems
	// Refused are the problems of a ScaledObject that KEDA or the API server would refuse.
	Refused source.Problems
	// Warnings are about what the API server accepts and a person should know.
	Warnings source.Problems

	doc    *source.Document
	origin []int             // of each metric of HPA, the trigger of Scaled; -1 = its formula
	paths  map[string]string // of an InferenceService: where parts of HPA stand
}

// JSON returns the object as JSON, for kinds that are decoded elsewhere.
func (d *Doc) JSON() ([]byte, source.Problems) { return d.doc.JSON() }

// Problem is a problem at a path of the object, with the file and line where that stands.
func (d *Doc) Problem(path, text, try string) source.Problem { return d.doc.Problem(path, text, try) }

// LineOf returns the line of the field at path ("spec.minReplicas"), or of the
// nearest one around it.
func (d *Doc) LineOf(path string) int { return d.doc.Line(d.SourcePath(path)) }

// SourcePath is where a setting of the HPA is in the written object: the same path, except
// for an HPA that KEDA or KServe makes.
func (d *Doc) SourcePath(path string) string {
	if d.Scaled != nil {
		return d.Scaled.SourcePath(path)
	}
	best := ""
	for p := range d.paths { // the longest that leads there
		if strings.HasPrefix(path, p) && len(p) > len(best) {
			best = p
		}
	}
	if best == "" || strings.HasPrefix(path, "spec.predictor") {
		return path
	}
	return d.paths[best]
}

// Config returns the HPA as the core reads it. It must be one (d.HPA not nil).
func (d *Doc) Config() (hpa.Config, hpa.Identity, error) {
	c, err := FromV2(&d.HPA.Spec)
	ref := d.HPA.Spec.ScaleTargetRef
	return c, identity(&d.HPA.ObjectMeta, ref.Kind, ref.Name), err
}

// Options are how strictly an HPA is read.
type Options struct {
	// Loose lets apiVersion (then autoscaling/v2), kind, metadata and
	// scaleTargetRef be left out, as scenarios do.
	Loose bool
	// Unchecked leaves the API server's validation out; decoding stays strict.
	Unchecked bool
}

// Parse reads a manifest file as the API server would: many documents, Lists,
// YAML or JSON. HorizontalPodAutoscalers of autoscaling/v2 and v1 are decoded
// strictly, defaulted and validated; other kinds are returned by name. All
// problems are reported at once, each with its line.
func Parse(file string, data []byte) ([]Doc, source.Problems) { return Options{}.Parse(file, data) }

// Parse is the function Parse with these options.
func (o Options) Parse(file string, data []byte) ([]Doc, source.Problems) {
	docs, problems := o.Read(file, data)
	for i := range docs {
		problems = append(problems, docs[i].Problems...)
	}
	return docs, problems.Sort()
}

// Read is Parse for callers that use whatever can be read: each object keeps its own
// problems, and the returned ones are of the file, at which reading ended.
func (o Options) Read(file string, data []byte) ([]Doc, source.Problems) {
	roots, problems := source.Parse(file, data)
	if len(problems) > 0 && IsTemplate(data) {
		problems[0].Try = renderFirst
	}
	var docs []Doc
	for _, r := range roots {
		docs = o.objects(docs, r, "", "", 0)
	}
	for i := range docs {
		if len(docs[i].Problems) > 0 && IsTemplate(data) {
			docs[i].Problems[0].Try = renderFirst
		}
	}
	return docs, problems
}

const renderFirst = "render the template first: helm template . | hpatune … -f -"

var action = regexp.MustCompile(`\{\{-?\s*[.$\w("/]`)

// IsTemplate reports whether data contains actions of a template ({{ … }}), as the files of
// a Helm chart do before they are rendered.
func IsTemplate(data []byte) bool { return action.Match(data) }

// objects appends the objects of a document: itself, or the items of a List
// (which take its kind, where they name none, as answers of the API do) or of a
// bare list.
func (o Options) objects(docs []Doc, r *source.Document, apiVersion, kind string, depth int) []Doc {
	const deep = 10 // a List in a List is odd enough
	own, _ := r.Text("kind")
	version, _ := r.Text("apiVersion")
	items := r.Items("")
	switch itemKind, isList := strings.CutSuffix(own, "List"); {
	case depth >= deep:
	case items != nil:
		for _, item := range items {
			docs = o.objects(docs, item, apiVersion, kind, depth+1)
		}
		return docs
	case isList && r.Has("items"):
		if itemKind == "" {
			version = "" // v1 List: of objects of any kind
		}
		for _, item := range r.Items("items") {
			docs = o.objects(docs, item, version, itemKind, depth+1)
		}
		return docs
	}
	return append(docs, o.object(r, cmp.Or(version, apiVersion), cmp.Or(own, kind)))
}

const kindHPA = "HorizontalPodAutoscaler"

func (o Options) object(r *source.Document, apiVersion, kind string) Doc {
	d := Doc{File: r.File, Line: r.Line(""), APIVersion: apiVersion, Kind: kind, doc: r}
	problems := &d.Problems
	d.Name, _ = r.Text("metadata.name")
	d.Namespace, _ = r.Text("metadata.namespace")
	if o.Loose {
		d.APIVersion, d.Kind = cmp.Or(apiVersion, "autoscaling/v2"), cmp.Or(kind, kindHPA)
	}
	switch {
	case d.Kind == "":
		*problems = append(*problems, r.Problem("kind", "is missing: what kind of object is this?", "kind: "+kindHPA))
	case d.Kind == "ScaledObject" && strings.HasPrefix(d.APIVersion, "keda.sh/"):
		o.scaledObject(&d, problems)
	case d.Kind == "InferenceService" && strings.HasPrefix(d.APIVersion, "serving.kserve.io/"):
		o.inference(&d, problems)
	case d.Kind != kindHPA:
		// VerticalPodAutoscaler is similar in spelling, but not a misspelling.
		if d.Kind != "VerticalPodAutoscaler" && d.Kind != kindHPA+"List" && source.Nearest(d.Kind, []string{kindHPA}) != "" {
			*problems = append(*problems, r.Problem("kind", fmt.Sprintf("%q is unknown", d.Kind), kindHPA))
		}
	case d.APIVersion == "autoscaling/v2":
		o.v2(&d, problems)
	case d.APIVersion == "autoscaling/v1":
		o.v1(&d, problems)
	default:
		text := fmt.Sprintf("%q is not a version of %s", d.APIVersion, kindHPA)
		switch d.APIVersion {
		case "":
			text = "is missing"
		case "autoscaling/v2beta1":
			text = "autoscaling/v2beta1 was removed in Kubernetes 1.25"
		case "autoscaling/v2beta2":
			text = "autoscaling/v2beta2 was removed in Kubernetes 1.26"
		}
		*problems = append(*problems, r.Problem("apiVersion", text, "autoscaling/v2"))
	}
	return d
}

func (o Options) v2(d *Doc, problems *source.Problems) {
	h := &autoscalingv2.HorizontalPodAutoscaler{}
	found := tidy(d.doc.Decode(h))
	Default(&h.Spec)
	o.check(d, h, found, problems)
}

func (o Options) v1(d *Doc, problems *source.Problems) {
	var old autoscalingv1.HorizontalPodAutoscaler
	found := tidy(d.doc.Decode(&old))
	h, lost := fromV1(&old)
	for _, l := range lost {
		d.Warnings = append(d.Warnings, d.doc.Problem("metadata.annotations", l, "write the object as autoscaling/v2"))
	}
	d.Warnings = append(d.Warnings, d.doc.Problem(
		"apiVersion",
		"autoscaling/v1 supports only a CPU target; other metrics and behavior (windows, policies, tolerance) need "+
			"autoscaling/v2",
		"kubectl get hpa.v2.autoscaling "+d.Name+" -o yaml",
	))
	o.check(d, h, found, problems)
}

// check validates a decoded object and keeps it if it has no problems.
func (o Options) check(
	d *Doc,
	h *autoscalingv2.HorizontalPodAutoscaler,
	found source.Problems,
	problems *source.Problems,
) {
	var errs field.ErrorList
	switch {
	case o.Unchecked:
	case o.Loose && !d.doc.Has("metadata") && !d.doc.Has("spec.scaleTargetRef"):
		errs = validateSpec(&h.Spec)
	case o.Loose:
		errs = slices.DeleteFunc(Validate(h), func(e *field.Error) bool {
			return !d.doc.Has("metadata.name") && strings.HasPrefix(e.Field, "metadata.name") ||
				!d.doc.Has("spec.scaleTargetRef") && strings.HasPrefix(e.Field, "spec.scaleTargetRef")
		})
	default:
		errs = Validate(h)
	}
	decoded := found
	for _, e := range errs {
		if known(decoded, e.Field) {
			continue // a value that could not be read is not also missing
		}
		found = append(found, d.doc.Problem(e.Field, e.ErrorBody(), hint(e)))
	}
	*problems = append(*problems, found...)
	if len(found) == 0 {
		d.HPA = h
	}
}

// known reports whether a field, or one around it or in it, could not be decoded, or is
// misspelt there.
func known(ps source.Problems, path string) bool {
	return slices.ContainsFunc(ps, func(p source.Problem) bool {
		if at := strings.LastIndexByte(p.Path, '.'); p.Try != "" && at >= 0 && p.Path[:at+1]+p.Try == path {
			return true
		}
		return p.Path == path || strings.HasPrefix(path, p.Path+".") || strings.HasPrefix(path, p.Path+"[") ||
			strings.HasPrefix(p.Path, path+".") ||
			strings.HasPrefix(p.Path, path+"[")
	})
}

// tidy replaces Kubernetes' regular expression for quantities by a hint.
func tidy(ps source.Problems) source.Problems {
	for i := range ps {
		if at := strings.Index(ps[i].Text, ": quantities must match"); at >= 0 {
			ps[i].Text = ps[i].Text[:at] + " is not a quantity"
			ps[i].Try = "500m, 2, 100 or 1Gi"
		}
	}
	return ps
}

// hint says what to write, for errors in which the API server only says what is wrong.
func hint(e *field.Error) string {
	name := e.Field[strings.LastIndexByte(e.Field, '.')+1:]
	switch {
	case e.Type == field.ErrorTypeForbidden && name == "metrics":
		return "minReplicas: 1"
	case e.Type == field.ErrorTypeForbidden:
		return "remove it"
	case name == "maxReplicas":
		return "maxReplicas: 10, and not below minReplicas"
	case name == "minReplicas":
		return "minReplicas: 2"
	case name == "stabilizationWindowSeconds":
		return "0 to 3600"
	case name == "periodSeconds":
		return "1 to 1800"
	case name == "averageUtilization":
		return "averageUtilization: 70"
	case name == "averageValue":
		return "averageValue: 500m"
	case name == "policies":
		return "remove policies to use the defaults; to disable this direction, add selectPolicy: Disabled and keep a policy"
	case name == "apiVersion" && strings.HasSuffix(e.Field, "scaleTargetRef.apiVersion"):
		return "apps/v1"
	case e.Type == field.ErrorTypeNotSupported:
		if v, ok := e.BadValue.(fmt.Stringer); ok {
			return source.Nearest(v.String(), metricTypes)
		}
		return source.Nearest(fmt.Sprint(e.BadValue), slices.Concat(metricTypes, selectPolicies, []string{"Pods", "Percent"}))
	}
	return ""
}

// Decode reads the one HorizontalPodAutoscaler in data, YAML or JSON, strictly;
// apiVersion (then v2), kind, metadata and scaleTargetRef may be left out. The
// API server's defaults are applied; its validation is not, since the
// controller decides on what it is given. The error is a source.Problems.
func Decode(data []byte) (hpa.Config, hpa.Identity, error) {
	docs, problems := Options{Loose: true, Unchecked: true}.Parse("hpa", data)
	if len(problems) > 0 {
		return hpa.Config{}, hpa.Identity{}, problems
	}
	if len(docs) != 1 || docs[0].HPA == nil {
		return hpa.Config{}, hpa.Identity{}, source.Problems{
			{
				File: "hpa",
				Text: fmt.Sprintf("%d objects, should be one %s", len(docs), kindHPA),
				Try:  "{maxReplicas: 10} under spec",
			},
		}
	}
	return docs[0].Config()
}

// fromV1 converts as the API server does, with what autoscaling/v2 keeps in
// v1's annotations. Annotations that cannot be read are named in lost; upstream
// passes over them in silence.
//
// Source: kubernetes/pkg/apis/autoscaling/v1/conversion.go, v1.37.2.
func fromV1(old *autoscalingv1.HorizontalPodAutoscaler) (h *autoscalingv2.HorizontalPodAutoscaler, lost []string) {
	h = &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: *old.ObjectMeta.DeepCopy()}
	h.APIVersion, h.Kind = "autoscaling/v2", kindHPA
	ref := old.Spec.ScaleTargetRef
	h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{
		Kind:       ref.Kind,
		Name:       ref.Name,
		APIVersion: ref.APIVersion,
	}
	h.Spec.MinReplicas, h.Spec.MaxReplicas = old.Spec.MinReplicas, old.Spec.MaxReplicas
	const prefix = "autoscaling.alpha.kubernetes.io/"
	if text, ok := old.Annotations[prefix+"metrics"]; ok {
		var ms []autoscalingv1.MetricSpec
		if err := json.Unmarshal([]byte(text), &ms); err != nil {
			lost = append(lost, "the annotation "+prefix+"metrics is not read: "+err.Error())
		}
		for i := range ms {
			h.Spec.Metrics = append(h.Spec.Metrics, metricV1(&ms[i]))
		}
	}
	if t := old.Spec.TargetCPUUtilizationPercentage; t != nil {
		h.Spec.Metrics = append(h.Spec.Metrics, cpuMetric(*t))
	}
	if text, ok := old.Annotations[prefix+"behavior"]; ok {
		// Upstream stores the internal type, whose names differ from v2's by case only.
		var b autoscalingv2.HorizontalPodAutoscalerBehavior
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			lost = append(lost, "the annotation "+prefix+"behavior is not read: "+err.Error())
		} else if b.ScaleUp != nil || b.ScaleDown != nil {
			h.Spec.Behavior = &b
		}
	}
	for _, name := range []string{"metrics", "behavior", "current-metrics", "conditions"} {
		delete(h.Annotations, prefix+name)
	}
	Default(&h.Spec)
	return h, lost
}

func metricV1(m *autoscalingv1.MetricSpec) autoscalingv2.MetricSpec {
	out := autoscalingv2.MetricSpec{Type: autoscalingv2.MetricSourceType(m.Type)}
	if s := m.Resource; s != nil {
		out.Resource = &autoscalingv2.ResourceMetricSource{
			Name:   s.Name,
			Target: resourceTargetV1(s.TargetAverageUtilization, autoscalingv2.MetricTarget{AverageValue: s.TargetAverageValue}),
		}
	}
	if s := m.ContainerResource; s != nil {
		out.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{Name: s.Name, Container: s.Container,
			Target: resourceTargetV1(s.TargetAverageUtilization, autoscalingv2.MetricTarget{AverageValue: s.TargetAverageValue})}
	}
	if s := m.Pods; s != nil {
		out.Pods = &autoscalingv2.PodsMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.Selector},
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &s.TargetAverageValue},
		}
	}
	if s := m.Object; s != nil {
		t := autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: &s.TargetValue}
		if s.AverageValue != nil {
			t = autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: s.AverageValue}
			if !s.TargetValue.IsZero() {
				t.Value = &s.TargetValue
			}
		}
		out.Object = &autoscalingv2.ObjectMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.Selector},
			Target: t,
			DescribedObject: autoscalingv2.CrossVersionObjectReference{
				Kind:       s.Target.Kind,
				Name:       s.Target.Name,
				APIVersion: s.Target.APIVersion,
			},
		}
	}
	if s := m.External; s != nil {
		t := autoscalingv2.MetricTarget{
			Type:         autoscalingv2.ValueMetricType,
			Value:        s.TargetValue,
			AverageValue: s.TargetAverageValue,
		}
		if s.TargetValue == nil {
			t.Type = autoscalingv2.AverageValueMetricType
		}
		out.External = &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: s.MetricName, Selector: s.MetricSelector},
			Target: t,
		}
	}
	return out
}

func resourceTargetV1(utilization *int32, t autoscalingv2.MetricTarget) autoscalingv2.MetricTarget {
	t.Type, t.AverageUtilization = autoscalingv2.UtilizationMetricType, utilization
	if utilization == nil {
		t.Type = autoscalingv2.AverageValueMetricType
	}
	return t
}
