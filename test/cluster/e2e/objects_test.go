//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// namespace creates a namespace for t and deletes it with its contents at t's end. It waits until
// the pods are gone, so that the next test has the machine to itself.
func (s *suite) namespace(t *testing.T) string {
	t.Helper()
	prefix := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(t.Name()), "-")
	ns, err := s.kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-" + prefix[:min(len(prefix), 40)] + "-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.deleteNamespace(t, ns.Name) })
	return ns.Name
}

func (s *suite) deleteNamespace(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // t's own context has ended
	defer cancel()
	if err := s.kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Errorf("delete namespace %s: %v", name, err)
		return
	}
	for {
		_, err := s.kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("namespace %s is still there after a minute: %v", name, err)
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// manager is the field manager for changes that a person would make with kubectl.
const manager = "kubectl-e2e"

// apply applies every object of a manifest (documents separated by ---) as kubectl apply
// --server-side would. Objects without a namespace go to ns.
func (s *suite) apply(t *testing.T, ns, manifest string) {
	t.Helper()
	if err := s.send(t.Context(), ns, manifest, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
		t.Fatal(err)
	}
}

// dryRun does what kubectl apply --dry-run=server does with validation=strict:
// the API server defaults, validates and admits the objects, refuses fields
// that it does not know, and stores nothing.
func (s *suite) dryRun(ctx context.Context, ns, manifest string) error {
	return s.send(ctx, ns, manifest, metav1.ApplyOptions{FieldManager: manager, Force: true, DryRun: []string{metav1.DryRunAll}})
}

// dryRunFile is dryRun of a file.
func (s *suite) dryRunFile(ctx context.Context, ns, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := s.dryRun(ctx, ns, string(b)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s *suite) send(ctx context.Context, ns, manifest string, o metav1.ApplyOptions) error {
	n := 0
	for doc := range strings.SplitSeq("\n"+manifest, "\n---") {
		var u unstructured.Unstructured
		if err := yaml.UnmarshalStrict([]byte(doc), &u.Object); err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
		if len(u.Object) == 0 {
			continue // only comments
		}
		n++
		gvk := u.GroupVersionKind()
		m, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return err
		}
		var r dynamic.ResourceInterface = s.dyn.Resource(m.Resource)
		if m.Scope.Name() == "namespace" {
			if u.GetNamespace() == "" {
				u.SetNamespace(ns)
			}
			r = s.dyn.Resource(m.Resource).Namespace(u.GetNamespace())
		}
		body, err := u.MarshalJSON()
		if err != nil {
			return err
		}
		// A patch instead of Apply, because only its options support strict field validation.
		_, err = r.Patch(ctx, u.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
			FieldManager: o.FieldManager, Force: &o.Force, DryRun: o.DryRun, FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	if n == 0 {
		return errors.New("manifest: no object in it")
	}
	return nil
}

// payload is a server to deploy, with a Service in front of it. Zero fields take tinyllm's, one
// replica, 100m requested and 200m limit.
type payload struct {
	name       string // of the Deployment, the Service and the container
	image      string
	args       []string
	port       int32
	ready      string // path of the readiness probe
	cpuRequest string // "none" requests nothing
	cpuLimit   string
	memory     string
	replicas   int32
}

// workload is a payload that serves.
type workload struct {
	namespace, name string
	url             string // of the Service: its ClusterIP; dial it inside (client, hpatune, Cluster.Dial)
}

// tinyllm is the transformer server, ready a second after its start.
func tinyllm(name string, args ...string) payload {
	return payload{name: name, image: "hpacluster.test/tinyllm:1", port: 8000, ready: "/ready", memory: "64Mi",
		args: append([]string{"-addr=:8000", "-load-delay=1s"}, args...)}
}

// linguaserver is the language detection server. 8 languages take 256 MB and
// 0.8 CPU seconds to load, which is 2 to 4 s at a limit of 300m.
func linguaserver(name string, languages int) payload {
	return payload{name: name, image: "hpacluster.test/linguaserver:1", port: 8000, ready: "/v2/health/ready", memory: "512Mi",
		cpuLimit: "300m", args: []string{"-addr=:8000", fmt.Sprintf("-languages=%d", languages)}}
}

// deploy makes p's Deployment and Service in ns and waits until every replica
// is available.
func (s *suite) deploy(t *testing.T, ns string, p payload) workload {
	t.Helper()
	or := func(v, def string) string {
		if v == "" {
			return def
		}
		return v
	}
	quantities := func(cpu string) corev1.ResourceList {
		l := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(or(p.memory, "64Mi"))}
		if cpu != "none" {
			l[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		return l
	}
	labels := map[string]string{"app": p.name}
	replicas := max(p.replicas, 1)
	grace, off, on := int64(15), false, true // the pods fit the restricted standard
	_, err := s.kube.AppsV1().Deployments(ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: p.name, Labels: labels},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": fmt.Sprint(p.port)}},
				Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &grace, AutomountServiceAccountToken: &off,
					SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &on, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
					Containers: []corev1.Container{{
						Name: p.name, Image: p.image, ImagePullPolicy: corev1.PullNever, Args: p.args,
						Env:   []corev1.EnvVar{{Name: "GOMAXPROCS", Value: "1"}}, // below a limit of 2 cores, Go's own choice is 2
						Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: p.port}},
						Resources: corev1.ResourceRequirements{Requests: quantities(or(p.cpuRequest, "100m")),
							Limits: quantities(or(p.cpuLimit, "200m"))},
						SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &off, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
						ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
							HTTPGet: &corev1.HTTPGetAction{Path: p.ready, Port: intstr.FromString("http")}}},
					}}}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := s.kube.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: p.name, Labels: labels},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := workload{namespace: ns, name: p.name, url: "http://" + svc.Spec.ClusterIP}
	s.waitAvailable(t, w, 90*time.Second)
	return w
}

// waitAvailable waits until every replica that is wanted is available.
func (s *suite) waitAvailable(t *testing.T, w workload, limit time.Duration) {
	t.Helper()
	eventually(t, limit, "deployment "+w.name+" available", func(ctx context.Context) error {
		d, err := s.kube.AppsV1().Deployments(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < *d.Spec.Replicas {
			return fmt.Errorf("%d of %d replicas available: %s", d.Status.AvailableReplicas, *d.Spec.Replicas, s.podTroubles(ctx, w))
		}
		return nil
	})
}

// podTroubles returns why w's pods are not ready, for the message of a failure.
func (s *suite) podTroubles(ctx context.Context, w workload) string {
	pods, err := s.kube.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + w.name})
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, p := range pods.Items {
		fmt.Fprintf(&b, "%s %s", p.Name, p.Status.Phase)
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Waiting != nil {
				fmt.Fprintf(&b, " %s %s", c.State.Waiting.Reason, c.State.Waiting.Message)
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}

// cpuHPA makes a plain autoscaling/v2 HPA on w's CPU with a target in percent
// of the request, and waits until it has its first metric: a new pod has none
// for two scrapes, 15 to 30 s, in every cluster.
func (s *suite) cpuHPA(t *testing.T, w workload, minReplicas, maxReplicas, percent int) {
	t.Helper()
	s.apply(t, w.namespace, fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: %[1]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}
  minReplicas: %[2]d
  maxReplicas: %[3]d
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: %[4]d}}}]
`, w.name, minReplicas, maxReplicas, percent))
	s.waitCurrentMetrics(t, w.namespace, w.name)
}

// waitCurrentMetrics waits until the HPA's status holds a metric's value.
func (s *suite) waitCurrentMetrics(t *testing.T, ns, name string) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	var hpa *autoscalingv2.HorizontalPodAutoscaler
	eventually(t, s.patience(90*time.Second), "HPA "+name+" has current metrics", func(ctx context.Context) (err error) {
		if hpa, err = s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, m := range hpa.Status.CurrentMetrics {
			if m.Type != "" {
				return nil
			}
		}
		var why []string
		for _, c := range hpa.Status.Conditions {
			why = append(why, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Message))
		}
		return errors.New(strings.Join(why, "; "))
	})
	return hpa
}
