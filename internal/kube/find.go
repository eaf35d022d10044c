package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/hpatune/hpatune/tuner/manifest"
)

// Subject is what a run is about: an HPA, if any, and what it scales.
type Subject struct {
	Namespace string
	// HPA is the autoscaler, with the API server's defaults; nil = none.
	HPA      *autoscalingv2.HorizontalPodAutoscaler
	HPAOwner manifest.Owner
	// Scaled is the ScaledObject that makes the HPA; nil = none, or ScaledWhy.
	Scaled    *unstructured.Unstructured
	ScaledWhy error // why it could not be read

	Target   Ref
	Object   *unstructured.Unstructured // the target as it is
	Owner    manifest.Owner             // of the target
	Selector string                     // of its pods, from its scale
	Replicas int32                      // spec.replicas of its scale
	Pods     []corev1.Pod               // as they are, by name
	Services []corev1.Service           // that select its pods, by name
}

// Ref names an object that has a scale.
type Ref struct {
	Kind, Name string
	Resource   schema.GroupVersionResource
}

// String returns Kind/name.
func (r Ref) String() string { return r.Kind + "/" + r.Name }

// Scale is a target's size, as the autoscaler reads it.
type Scale struct {
	Spec, Status int32
	Selector     string
}

// resources of the kinds that need no discovery.
var known = map[string]schema.GroupVersionResource{
	"Deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
	"StatefulSet": {Group: "apps", Version: "v1", Resource: "statefulsets"},
	"ReplicaSet":  {Group: "apps", Version: "v1", Resource: "replicasets"},
}

// FindHPA finds an HPA, what it scales, its pods, its Services and its owners.
func (c *Cluster) FindHPA(ctx context.Context, namespace, name string) (*Subject, error) {
	h, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("HPA %s/%s: %w", namespace, name, Explain(err, "run"))
	}
	h.APIVersion, h.Kind = "autoscaling/v2", "HorizontalPodAutoscaler" // typed clients leave them out
	ref := h.Spec.ScaleTargetRef
	s, err := c.find(ctx, namespace, ref.APIVersion, ref.Kind, ref.Name)
	if err != nil {
		return nil, fmt.Errorf("HPA %s/%s: scaleTargetRef: %w", namespace, name, err)
	}
	s.HPA, s.HPAOwner = h, manifest.OwnerOf(h)
	c.made(ctx, s)
	return s, nil
}

// FindTarget finds a workload by "deployment/NAME", "statefulset/NAME" or
// "Kind.version.group/NAME", and the HPA that points at it, if any does.
func (c *Cluster) FindTarget(ctx context.Context, namespace, text string) (*Subject, error) {
	kind, name, ok := strings.Cut(text, "/")
	if !ok || kind == "" || name == "" {
		return nil, fmt.Errorf("target %q: want KIND/NAME; try deployment/NAME", text)
	}
	apiVersion := "apps/v1"
	if gvk, gk := schema.ParseKindArg(kind); gvk != nil {
		apiVersion, kind = gvk.GroupVersion().String(), gvk.Kind
	} else {
		kind = gk.Kind
	}
	for k := range known { // deployment, deployments, Deployment
		if strings.EqualFold(strings.TrimSuffix(kind, "s"), k) {
			kind = k
		}
	}
	s, err := c.find(ctx, namespace, apiVersion, kind, name)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", text, err)
	}
	list, err := c.Clients.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("target %s: cannot tell whether an HPA scales it: %w", text, Explain(err, "run"))
	}
	for i := range list.Items {
		h := &list.Items[i]
		if r := h.Spec.ScaleTargetRef; r.Kind == kind && r.Name == name {
			h.APIVersion, h.Kind = "autoscaling/v2", "HorizontalPodAutoscaler"
			s.HPA, s.HPAOwner = h, manifest.OwnerOf(h)
			c.made(ctx, s)
		}
	}
	return s, nil
}

// resource is where a kind is: known, or by the cluster's discovery.
func (c *Cluster) resource(apiVersion, kind string) (schema.GroupVersionResource, error) {
	if r, ok := known[kind]; ok && (apiVersion == "" || strings.HasPrefix(apiVersion, "apps/")) {
		return r, nil
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return schema.GroupVersionResource{}, err
	}
	if c.Mapper == nil {
		return schema.GroupVersionResource{}, fmt.Errorf("%s %s: no discovery", apiVersion, kind)
	}
	m, err := c.Mapper.RESTMapping(schema.GroupKind{Group: gv.Group, Kind: kind}, gv.Version)
	if err != nil {
		return schema.GroupVersionResource{}, fmt.Errorf("%s %s: %w", apiVersion, kind, err)
	}
	return m.Resource, nil
}

func (c *Cluster) find(ctx context.Context, namespace, apiVersion, kind, name string) (*Subject, error) {
	resource, err := c.resource(apiVersion, kind)
	if err != nil {
		return nil, err
	}
	s := &Subject{Namespace: namespace, Target: Ref{kind, name, resource}}
	if s.Object, err = c.objects(s).Get(ctx, name, metav1.GetOptions{}); err != nil {
		return nil, Explain(err, "run")
	}
	s.Owner = manifest.OwnerOf(s.Object)
	scale, err := c.Scale(ctx, s)
	if err != nil {
		return nil, err
	}
	s.Selector, s.Replicas = scale.Selector, scale.Spec
	if s.Selector == "" {
		return nil, fmt.Errorf("%s: its scale has no selector, so its pods cannot be found", s.Target)
	}
	pods, err := c.Clients.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: s.Selector})
	if err != nil {
		return nil, fmt.Errorf("pods of %s: %w", s.Target, Explain(err, "run"))
	}
	s.Pods = pods.Items
	return s, c.services(ctx, s)
}

// objects is the door to the target's kind.
func (c *Cluster) objects(s *Subject) dynamic.ResourceInterface {
	return c.Dynamic.Resource(s.Target.Resource).Namespace(s.Namespace)
}

// Scale reads the target's /scale.
func (c *Cluster) Scale(ctx context.Context, s *Subject) (Scale, error) {
	u, err := c.objects(s).Get(ctx, s.Target.Name, metav1.GetOptions{}, "scale")
	if err != nil {
		return Scale{}, fmt.Errorf("scale of %s: %w", s.Target, Explain(err, "run"))
	}
	return scaleOf(u), nil
}

func scaleOf(u *unstructured.Unstructured) Scale {
	spec, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	status, _, _ := unstructured.NestedInt64(u.Object, "status", "replicas")
	selector, _, _ := unstructured.NestedString(u.Object, "status", "selector")
	return Scale{int32(spec), int32(status), selector}
}

// services finds the Services that select the pods, by the labels that all
// pods of the target's template have.
func (c *Cluster) services(ctx context.Context, s *Subject) error {
	set, _, _ := unstructured.NestedStringMap(s.Object.Object, "spec", "template", "metadata", "labels")
	if len(set) == 0 && len(s.Pods) > 0 {
		set = s.Pods[0].Labels
	}
	list, err := c.Clients.CoreV1().Services(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the Services in front of %s: %w", s.Target, Explain(err, "run"))
	}
	for _, svc := range list.Items {
		if len(svc.Spec.Selector) > 0 && labels.SelectorFromSet(svc.Spec.Selector).Matches(labels.Set(set)) {
			s.Services = append(s.Services, svc)
		}
	}
	slices.SortFunc(s.Services, func(a, b corev1.Service) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// Way is an entry point: where load reaches the Service as users do.
type Way struct {
	URL  string
	Over string // Ingress/name, Gateway/name, LoadBalancer/name, ClusterIP/name
}

// ErrNoWay says that nothing outside the cluster reaches the Service.
var ErrNoWay = errors.New(
	"not reachable from outside: no Ingress, Gateway or load balancer leads to its Service; pass --url, or send from " +
		"inside the cluster with --workers 1. " +
		"(Do not use kubectl port-forward: it reaches only one pod, so new replicas would get no traffic.)",
)

// Ways lists the entry points, best first: Ingress, Gateway, LoadBalancer; then the
// Services' cluster IPs, which only a client inside the cluster can reach.
func (c *Cluster) Ways(ctx context.Context, s *Subject) (outside, inside []Way, err error) {
	if len(s.Services) == 0 {
		return nil, nil, fmt.Errorf("%s: no Service selects its pods; pass --url", s.Target)
	}
	outside = c.ingresses(ctx, s)
	outside = append(outside, c.gateways(ctx, s)...)
	for i := range s.Services {
		svc := &s.Services[i]
		if len(svc.Spec.Ports) == 0 {
			continue
		}
		port := svc.Spec.Ports[0]
		for _, lb := range svc.Status.LoadBalancer.Ingress {
			if host := firstOf(lb.Hostname, lb.IP); host != "" {
				outside = append(outside, Way{urlOf(port.Name, host, port.Port), "LoadBalancer/" + svc.Name})
			}
		}
		if ip := svc.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
			inside = append(inside, Way{urlOf(port.Name, ip, port.Port), "ClusterIP/" + svc.Name})
		}
	}
	return outside, inside, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func urlOf(portName, host string, port int32) string {
	scheme := "http"
	if portName == "https" || port == 443 {
		scheme = "https"
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return scheme + "://" + host
	}
	return fmt.Sprintf("%s://%s:%d", scheme, host, port)
}

func (s *Subject) serves(name string) bool {
	return slices.ContainsFunc(s.Services, func(v corev1.Service) bool { return v.Name == name })
}

func (c *Cluster) ingresses(ctx context.Context, s *Subject) (out []Way) {
	list, err := c.Clients.NetworkingV1().Ingresses(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // not visible counts as absent
	}
	for _, ing := range list.Items {
		address := ""
		for _, lb := range ing.Status.LoadBalancer.Ingress {
			address = firstOf(lb.Hostname, lb.IP)
		}
		for _, rule := range ing.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for _, p := range rule.HTTP.Paths {
				if p.Backend.Service == nil || !s.serves(p.Backend.Service.Name) {
					continue
				}
				host := firstOf(rule.Host, address)
				if host == "" || strings.HasPrefix(host, "*") {
					continue
				}
				scheme := "http"
				if slices.ContainsFunc(
					ing.Spec.TLS,
					func(t networkingv1.IngressTLS) bool { return len(t.Hosts) == 0 || slices.Contains(t.Hosts, rule.Host) },
				) {
					scheme = "https"
				}
				out = append(out, Way{scheme + "://" + host + strings.TrimSuffix(p.Path, "/"), "Ingress/" + ing.Name})
			}
		}
	}
	return out
}

// gateways reads HTTPRoutes and their Gateways, where the cluster has them.
func (c *Cluster) gateways(ctx context.Context, s *Subject) (out []Way) {
	api := schema.GroupVersion{Group: "gateway.networking.k8s.io", Version: "v1"}
	routes, err := c.Dynamic.Resource(api.WithResource("httproutes")).
		Namespace(s.Namespace).
		List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for _, r := range routes.Items {
		leads := false
		rules, _, _ := unstructured.NestedSlice(r.Object, "spec", "rules")
		for _, rule := range rules {
			m, _ := rule.(map[string]any)
			refs, _, _ := unstructured.NestedSlice(m, "backendRefs")
			for _, ref := range refs {
				b, _ := ref.(map[string]any)
				name, _ := b["name"].(string)
				leads = leads || s.serves(name)
			}
		}
		if !leads {
			continue
		}
		hosts, _, _ := unstructured.NestedStringSlice(r.Object, "spec", "hostnames")
		parents, _, _ := unstructured.NestedSlice(r.Object, "spec", "parentRefs")
		for _, parent := range parents {
			p, _ := parent.(map[string]any)
			name, _ := p["name"].(string)
			ns, _ := p["namespace"].(string)
			gw, err := c.Dynamic.Resource(api.WithResource("gateways")).
				Namespace(firstOf(ns, s.Namespace)).
				Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				continue
			}
			scheme, port := "http", int64(80)
			listeners, _, _ := unstructured.NestedSlice(gw.Object, "spec", "listeners")
			if len(listeners) > 0 {
				l, _ := listeners[0].(map[string]any)
				if proto, _ := l["protocol"].(string); proto == "HTTPS" {
					scheme = "https"
				}
				if n, ok := l["port"].(int64); ok {
					port = n
				}
			}
			host := ""
			if addresses, _, _ := unstructured.NestedSlice(gw.Object, "status", "addresses"); len(addresses) > 0 {
				a, _ := addresses[0].(map[string]any)
				host, _ = a["value"].(string)
			}
			if len(hosts) > 0 && !strings.HasPrefix(hosts[0], "*") {
				host = hosts[0]
			}
			if host != "" {
				out = append(out, Way{urlOf(scheme, host, int32(port)), "Gateway/" + name})
			}
		}
	}
	return out
}

// Containers returns a pod's containers with ordinary init containers left out
// and sidecars kept: those whose requests and metrics count.
func Containers(p *corev1.PodSpec) []corev1.Container {
	out := slices.Clone(p.Containers)
	for _, c := range p.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out = append(out, c)
		}
	}
	return out
}

// Ready reports whether a pod gets traffic.
func Ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
