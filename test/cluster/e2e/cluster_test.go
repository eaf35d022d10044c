//go:build linux

package e2e

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func TestAProgramRunsInsideAndSeesTheClusterOnly(t *testing.T) {
	s := needOurs(t)
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl")
	}
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), kubectl, "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := s.c.Run(cmd); err != nil || out.String() != "v1.37.2" {
		t.Errorf("kubectl inside says %q, %v, want v1.37.2", out.String(), err)
	}
	if _, err := s.c.Dial(t.Context(), "tcp", "192.0.2.1:80"); err == nil {
		t.Error("an address outside of the cluster was reached from inside")
	}
}

func TestAnImportedImageCanBeDeployed(t *testing.T) {
	s := needOurs(t)
	// An archive that exists already, imported as hpatune's own image would be.
	if err := s.c.Import(t.Context(), filepath.Join(s.c.Programs().Own, "images", "tinyllm.tar")); err != nil {
		t.Error(err)
	}
	if err := s.c.Import(t.Context(), filepath.Join(t.TempDir(), "none.tar")); err == nil {
		t.Error("importing a file that does not exist is no error")
	}
}

func TestTheProductRunsInsideTheCluster(t *testing.T) {
	s := need(t)
	if r := s.hpatune(t, t.TempDir(), "version"); r.code != 0 || r.stdout == "" {
		t.Errorf("hpatune version = %+v, want a version and exit code 0", r)
	}
}

func TestAServiceAccountMayDoWhatItsRulesSayAndNoMore(t *testing.T) {
	s := need(t)
	ns := s.namespace(t)
	path := s.kubeconfigFor(t, ns, "reader", []rbacv1.PolicyRule{{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"list"}}}, nil)
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	config.Dial = s.c.Dial
	reader, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.AutoscalingV2().HorizontalPodAutoscalers(ns).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("list HPAs: %v, want it allowed", err)
	}
	if _, err := reader.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("list pods: %v, want it forbidden", err)
	}
}

// TestComponentsStopAndStartAgain tests what the tests of faults rely on.
func TestComponentsStopAndStartAgain(t *testing.T) {
	s := needOurs(t)
	api := func(ctx context.Context) error {
		_, err := s.kube.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
		return err
	}
	metrics := func(ctx context.Context) error {
		_, err := s.kube.Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/nodes").DoRaw(ctx)
		return err
	}
	for _, c := range []struct {
		name    string
		answers func(context.Context) error
	}{{"metrics-server", metrics}, {"kube-apiserver", api}} {
		t.Run(c.name, func(t *testing.T) {
			eventually(t, 10*time.Second, "answers before", c.answers)
			if err := s.c.StopComponent(t.Context(), c.name); err != nil {
				t.Fatal(err)
			}
			eventually(t, 20*time.Second, "does not answer while it is stopped", func(ctx context.Context) error {
				if c.answers(ctx) == nil {
					return errors.New("it answers")
				}
				return nil
			})
			if err := s.c.StopComponent(t.Context(), c.name); err == nil {
				t.Error("stopping it twice is no error")
			}
			if err := s.c.StartComponent(t.Context(), c.name); err != nil {
				t.Fatal(err)
			}
			eventually(t, time.Minute, "answers again", c.answers)
		})
	}
	eventually(t, time.Minute, "metrics-server answers after both", metrics)
}
