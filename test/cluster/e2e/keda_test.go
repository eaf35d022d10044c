//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// kedaGolden is the folder of ScaledObjects and of the HPAs that KEDA's operator made from them;
// kedaNamespace is the namespace of all of them. The product's own tests compare the HPAs that it
// computes from the former with the latter.
const (
	kedaGolden    = "../../../tuner/manifest/testdata/keda/operator"
	kedaNamespace = "keda-golden"
)

var scaledObjects = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}

// needKEDA is needFull with KEDA's operator and metrics server in the cluster.
func needKEDA(t *testing.T) *suite {
	t.Helper()
	s := needFull(t)
	programs, err := cluster.BuildKEDA(t.Context(), os.Stderr) // hpacluster test has built it
	if err != nil {
		t.Fatal(err)
	}
	if err := s.c.StartKEDA(t.Context(), programs); err != nil {
		t.Fatal(err)
	}
	s.mapper.Reset() // it has kinds that the cluster did not have before
	return s
}

// kedaTargets are the objects that the ScaledObjects refer to. The targets run no pod: KEDA still
// makes an HPA, and nothing scales.
const kedaTargets = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: target}
spec:
  replicas: 0
  selector: {matchLabels: {app: target}}
  template:
    metadata: {labels: {app: target}}
    spec:
      containers:
      - {name: app, image: "hpacluster.test/pause:1", imagePullPolicy: Never, resources: {requests: {cpu: 10m, memory: 8Mi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: target}
spec:
  replicas: 0
  serviceName: target
  selector: {matchLabels: {app: target}}
  template:
    metadata: {labels: {app: target}}
    spec:
      containers:
      - {name: app, image: "hpacluster.test/pause:1", imagePullPolicy: Never}
---
apiVersion: v1
kind: Secret
metadata: {name: tokens}
stringData: {token: none}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: dyn}
spec: {secretTargetRef: [{parameter: token, name: tokens, key: token}]}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: sol}
spec: {secretTargetRef: [{parameter: apiToken, name: tokens, key: token}]}
`

// TestKEDAMakesTheHPAsOfTheGoldenFiles gives KEDA's real operator every ScaledObject of kedaGolden,
// one after another. It compares the HPA that KEDA makes, with the API server's defaults, byte for
// byte with the golden file next to it. With -update it writes that file.
func TestKEDAMakesTheHPAsOfTheGoldenFiles(t *testing.T) {
	s := needKEDA(t)
	files, err := filepath.Glob(filepath.Join(kedaGolden, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".hpa.yaml") })
	if len(files) == 0 {
		t.Fatalf("no ScaledObject in %s", kedaGolden)
	}
	if _, err := s.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: kedaNamespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.deleteNamespace(t, kedaNamespace) })
	s.apply(t, kedaNamespace, kedaTargets)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := s.kedaHPA(t, name, string(text))
			golden := filepath.Join(kedaGolden, name+".hpa.yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("KEDA makes of %s\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

// kedaHPA applies a ScaledObject, waits for the HPA that KEDA makes from it, deletes both, and
// returns the HPA as YAML, without the fields that differ each time (uid, status, managed fields).
func (s *suite) kedaHPA(t *testing.T, name, text string) []byte {
	t.Helper()
	s.apply(t, kedaNamespace, text)
	objects := s.dyn.Resource(scaledObjects).Namespace(kedaNamespace)
	hpas := s.kube.AutoscalingV2().HorizontalPodAutoscalers(kedaNamespace)
	defer func() {
		if err := objects.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		eventually(t, 30*time.Second, "its HPA is gone", func(ctx context.Context) error {
			list, err := hpas.List(ctx, metav1.ListOptions{})
			if err == nil && len(list.Items) > 0 {
				err = fmt.Errorf("%s is there", list.Items[0].Name)
			}
			return err
		})
	}()
	var hpa autoscalingv2.HorizontalPodAutoscaler
	eventually(t, 30*time.Second, "KEDA makes the HPA", func(ctx context.Context) error {
		list, err := hpas.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("%d HPAs; %s", len(list.Items), s.whyNoHPA(ctx, name))
		}
		hpa = list.Items[0]
		return nil
	})
	clean := autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: metav1.ObjectMeta{Name: hpa.Name, Namespace: hpa.Namespace, Labels: hpa.Labels, Annotations: maps.Clone(hpa.Annotations), OwnerReferences: hpa.OwnerReferences},
		Spec:       hpa.Spec,
	}
	for i := range clean.OwnerReferences {
		clean.OwnerReferences[i].UID = ""
	}
	out, err := yaml.Marshal(clean)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// whyNoHPA is the text of the conditions that KEDA sets on a ScaledObject.
func (s *suite) whyNoHPA(ctx context.Context, name string) string {
	o, err := s.dyn.Resource(scaledObjects).Namespace(kedaNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(o.Object["status"])
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// customMetrics serves metrics of pods through the custom metrics API until the
// test's end: rules are NAME=QUERY for Prometheus at url, see promadapter.
func (s *suite) customMetrics(t *testing.T, ns, url string, rules ...string) {
	t.Helper()
	programs, err := cluster.BuildKEDA(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	k := s.c.Kubeconfig()
	args := []string{"--secure-port=4445", "--cert-dir=" + t.TempDir(), "--prometheus=" + url,
		"--lister-kubeconfig=" + k, "--authentication-kubeconfig=" + k, "--authorization-kubeconfig=" + k}
	for _, rule := range rules {
		args = append(args, "--rule="+rule)
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "promadapter"), args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.c.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended it
	s.apply(t, ns, fmt.Sprintf(customAPI, ns, cluster.NodeIP))
	t.Cleanup(func() {
		for _, version := range []string{"v1beta1", "v1beta2"} {
			name := version + ".custom.metrics.k8s.io"
			if err := s.dyn.Resource(apiServices).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	eventually(t, time.Minute, "custom metrics API answers", func(ctx context.Context) error {
		_, err := s.kube.Discovery().RESTClient().Get().AbsPath("/apis/custom.metrics.k8s.io/v1beta2").DoRaw(ctx)
		if err != nil {
			err = fmt.Errorf("%w; promadapter: %s", err, log.String())
		}
		return err
	})
}

var apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// customAPI registers promadapter; it is completed with a namespace and the
// node's address.
const customAPI = `
apiVersion: v1
kind: Service
metadata: {name: promadapter}
spec:
  ports: [{name: https, port: 443, targetPort: 4445, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: promadapter-1
  labels: {kubernetes.io/service-name: promadapter}
addressType: IPv4
ports: [{name: https, port: 4445, protocol: TCP}]
endpoints: [{addresses: ["%[2]s"], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.custom.metrics.k8s.io}
spec:
  {group: custom.metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true,
   service: {name: promadapter, namespace: "%[1]s", port: 443}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta2.custom.metrics.k8s.io}
spec:
  {group: custom.metrics.k8s.io, version: v1beta2, groupPriorityMinimum: 100, versionPriority: 200, insecureSkipTLSVerify: true,
   service: {name: promadapter, namespace: "%[1]s", port: 443}}
`
