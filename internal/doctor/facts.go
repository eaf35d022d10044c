package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Facts are everything that is judged. Objects from files and from a cluster fill the same
// struct: Pod, PodMetrics, Node, Event and APIService are objects among the others, and
// start-up and use are computed from them.
type Facts struct {
	Docs []manifest.Doc
	Live bool      // the objects are a cluster's
	Now  time.Time // when they were read, by the cluster's clock; zero = not known
	// Told is what a person measured. It applies to every HPA and overrides what the
	// objects say.
	Told Measured
	// Probes are the answers of the metrics APIs, by namespace/name of the HPA and index in
	// spec.metrics. An absent one was not requested, or did not answer.
	Probes map[string]map[int]Probe
	// Served says why a metrics API (metrics.k8s.io, …) is not served, "" if it is. An
	// absent one is unknown.
	Served map[string]string

	kinds   map[string]map[string][]*manifest.Doc // kind, namespace ("" = not said)
	apart   environments
	decoded map[*manifest.Doc]any
	// Cached by document, since it is used repeatedly.
	workloads map[*manifest.Doc]*workload
	targets   map[*manifest.Doc]*subject
}

// Measured is what no manifest contains. Zero values and nil maps mean "unknown".
type Measured struct {
	Startup       time.Duration      // created to ready
	LongestAnswer time.Duration      // longest answer that must not be cut
	MemoryFalls   bool               // memory was seen to fall with load
	Ceiling       map[string]float64 // highest value of each metric, in the unit of its target (percent for utilization)
	Series        map[string]int     // how many series a metric has; a name that is absent was not asked for
	Usage         map[string]float64 // mean use of a resource at load, as a ratio of its request
}

// ParseNumbers reads NAME=NUMBER texts, numbers from 0.
func ParseNumbers(texts []string) (map[string]float64, error) {
	out := map[string]float64{}
	for _, t := range texts {
		name, number, _ := strings.Cut(t, "=")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || name == "" || !(v >= 0) {
			return nil, fmt.Errorf("%q: want NAME=NUMBER", t)
		}
		out[name] = v
	}
	return out, nil
}

// Probe is a metrics API's answer for one metric.
type Probe struct {
	Series int
	Why    string // what it said, where it has none
}

// index prepares Facts for many look-ups: a cluster has thousands of objects.
func (f *Facts) index() {
	f.kinds, f.decoded = map[string]map[string][]*manifest.Doc{}, map[*manifest.Doc]any{}
	f.workloads, f.targets = map[*manifest.Doc]*workload{}, map[*manifest.Doc]*subject{}
	if !f.Live {
		f.apart = newEnvironments(f.Docs)
	}
	for i := range f.Docs {
		d := &f.Docs[i]
		if f.kinds[d.Kind] == nil {
			f.kinds[d.Kind] = map[string][]*manifest.Doc{}
		}
		f.kinds[d.Kind][d.Namespace] = append(f.kinds[d.Kind][d.Namespace], d)
	}
}

// of returns the objects of a kind in a namespace; an unknown namespace matches every
// other.
func (f *Facts) of(namespace, kind string) (out []*manifest.Doc) {
	if namespace != "" {
		return slices.Concat(f.kinds[kind][namespace], f.kinds[kind][""])
	}
	for i := range f.Docs {
		if f.Docs[i].Kind == kind {
			out = append(out, &f.Docs[i])
		}
	}
	return out
}

// decode reads an object once, whoever asks.
func decode[T any](f *Facts, d *manifest.Doc) (*T, error) {
	if v, ok := f.decoded[d].(*T); ok {
		return v, nil
	}
	data, problems := d.JSON()
	if err := problems.Err(); err != nil {
		return nil, err
	}
	v := new(T)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("%s: %w", object(d), err)
	}
	f.decoded[d] = v
	return v, nil
}

// subject is one HPA with the objects that belong to it.
type subject struct {
	facts   *Facts
	doc     *manifest.Doc
	config  hpa.Config
	keda    *manifest.Doc // the ScaledObject that the HPA is made of; nil = none
	target  resolution
	work    *workload     // the scale target's pods; nil = not among the facts
	workDoc *manifest.Doc // the scale target; nil with work
	spec    corev1.PodSpec
	labels  labels.Set // of its pods
	pods    []*corev1.Pod
	up      hpa.Rules // what counts, behavior or not
	down    hpa.Rules
	m       Measured
	startup string // m.Startup in words, with where it is from; "" = not known
	usedBy  int    // pods that m.Usage was computed from, where it was not told
}

func newSubject(f *Facts, doc *manifest.Doc) (*subject, error) {
	c, _, err := doc.Config()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", object(doc), err)
	}
	s := &subject{facts: f, doc: doc, config: c, up: c.ScaleUp, down: c.ScaleDown, m: f.Told}
	if s.m.Startup > 0 {
		s.startup = s.m.Startup.String()
	}
	if !c.Behavior {
		s.up, s.down = hpa.DefaultScaleUp(), hpa.DefaultScaleDown()
	}
	t, err := newTarget(f, doc)
	if err != nil {
		return nil, err
	}
	s.keda = f.madeOf(doc)
	s.target, s.work, s.workDoc, s.spec, s.labels = t.target, t.work, t.workDoc, t.spec, t.labels
	if s.work != nil {
		s.see()
	}
	s.fill()
	return s, nil
}

// fill gives containers the requests and limits that the API server and a LimitRange would
// give them: a limit is copied to an absent request.
func (s *subject) fill() {
	s.spec.Containers, s.spec.InitContainers = slices.Clone(s.spec.Containers), slices.Clone(s.spec.InitContainers)
	var ranges []corev1.LimitRangeItem
	for _, d := range s.of("LimitRange") {
		if l, err := decode[corev1.LimitRange](s.facts, d); err == nil {
			for _, item := range l.Spec.Limits {
				if item.Type == corev1.LimitTypeContainer {
					ranges = append(ranges, item)
				}
			}
		}
	}
	first := func(name corev1.ResourceName, lists ...corev1.ResourceList) corev1.ResourceList {
		for _, l := range lists {
			if q, ok := l[name]; ok {
				return corev1.ResourceList{name: q}
			}
		}
		return nil
	}
	merge := func(into *corev1.ResourceList, more corev1.ResourceList) {
		for name, q := range more {
			if _, has := (*into)[name]; !has {
				out := corev1.ResourceList{name: q}
				for k, v := range *into {
					out[k] = v
				}
				*into = out
			}
		}
	}
	for _, list := range [][]corev1.Container{s.spec.Containers, s.spec.InitContainers} {
		for i := range list {
			r := &list[i].Resources
			merge(&r.Requests, r.Limits)
			for _, item := range ranges {
				for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
					// Source: k8s.io/kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_LimitRangeItem.
					merge(&r.Requests, first(name, item.DefaultRequest, item.Default, item.Max, item.Min))
					merge(&r.Limits, first(name, item.Default, item.Max))
				}
			}
		}
	}
}

// containers are those whose requests count, including sidecars, each with its path.
func (s *subject) containers() (list []corev1.Container, paths []string) { return counted(&s.spec) }

// written are the containers as their author wrote them.
func (s *subject) written() (list []corev1.Container, paths []string) {
	return counted(&s.work.template.Spec)
}

func counted(spec *corev1.PodSpec) (list []corev1.Container, paths []string) {
	for i, c := range spec.Containers {
		list, paths = append(list, c), append(paths, fmt.Sprintf("spec.template.spec.containers[%d]", i))
	}
	for i, c := range spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			list, paths = append(list, c), append(paths, fmt.Sprintf("spec.template.spec.initContainers[%d]", i))
		}
	}
	return list, paths
}

// amount sums a resource over the containers of a pod ("" = all) in base units;
// ok is false if one lacks it.
func (s *subject) amount(container, name string, limits bool) (sum float64, ok bool) {
	resources := func(r *corev1.ResourceRequirements) corev1.ResourceList {
		if limits {
			return r.Limits
		}
		return r.Requests
	}
	if p := s.spec.Resources; p != nil && container == "" {
		if q, found := resources(p)[corev1.ResourceName(name)]; found {
			return q.AsApproximateFloat64(), true // the pod's own, from 1.34
		}
	}
	list, _ := s.containers()
	for _, c := range list {
		if container != "" && c.Name != container {
			continue
		}
		q, found := resources(&c.Resources)[corev1.ResourceName(name)]
		if !found {
			return 0, false
		}
		sum, ok = sum+q.AsApproximateFloat64(), true
	}
	return sum, ok
}

// resources are the metrics that are read from metrics-server.
func (s *subject) resources() (out []int) {
	for i, m := range s.config.Metrics {
		if m.Source == hpa.Resource || m.Source == hpa.ContainerResource {
			out = append(out, i)
		}
	}
	return out
}

func metricPath(i int) string { return fmt.Sprintf("spec.metrics[%d]", i) }

func (s *subject) hit(path, format string, args ...any) hit {
	return hit{doc: s.doc, path: path, why: fmt.Sprintf(format, args...)}
}

// podHit is a hit in the scale target: "spec.template…" is its pod template, wherever its
// kind keeps it.
func (s *subject) podHit(path, format string, args ...any) hit {
	h := hit{doc: s.workDoc, path: path, why: fmt.Sprintf(format, args...)}
	if rest, ok := strings.CutPrefix(path, "spec.template"); ok && s.work != nil {
		h.doc, h.path = s.work.doc, strings.TrimPrefix(s.work.path+rest, ".")
	}
	return h
}

// selects reports whether a selector matches the subject's pods.
func (s *subject) selects(sel *metav1.LabelSelector) bool {
	l, err := metav1.LabelSelectorAsSelector(sel)
	return err == nil && s.work != nil && l.Matches(s.labels)
}

// tolerance is the ratio above 1 up to which nothing scales up.
func (s *subject) tolerance() float64 {
	if s.up.ToleranceSet {
		return s.up.Tolerance
	}
	return hpa.DefaultParams().Tolerance
}

// matches reports whether a name contains one of the words, whatever is between them.
func matches(name string, words ...string) bool {
	name = strings.NewReplacer("-", "_", ".", "_", ":", "_", "/", "_").Replace(strings.ToLower(name))
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}
