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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// The archive that is there already, as hpatune's own image would come.
	if err := s.c.Import(t.Context(), filepath.Join(s.c.Programs().Own, "images", "tinyllm.tar")); err != nil {
		t.Error(err)
	}
	if err := s.c.Import(t.Context(), filepath.Join(t.TempDir(), "none.tar")); err == nil {
		t.Error("importing a file that does not exist is no error")
	}
}

// TestComponentsStopAndStartAgain is what tests of faults stand on.
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
