//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// kedaVersion is the version of github.com/kedacore/keda/v2 in keda/go.mod. The
// linker puts it into the programs: the operator labels its HPAs with it.
const kedaVersion = "2.21.0"

// kedaPrograms are the names of KEDA's components and of their programs.
var kedaPrograms = map[string]string{"keda-operator": "operator", "keda-adapter": "adapter"}

// kedaManifests are the manifests that install KEDA, below config/ of its module:
// its own permissions and definitions. config/keda.yaml says how to reach its servers.
var kedaManifests = []string{
	"general/namespace.yaml", "service_account/service_account.yaml", "rbac/role.yaml", "rbac/role_binding.yaml",
	"metrics-server/role.yaml", "metrics-server/role_binding.yaml", "crd/bases/*.yaml",
}

// kedaSet builds KEDA's operator and metrics server. They have a module of their
// own, keda, so that its dependencies do not change the hash of the cluster's programs.
func kedaSet(module, home string) (set, error) {
	s := set{
		ldflags: "-s -w -X github.com/kedacore/keda/v2/version.Version=" + kedaVersion,
		builds: map[string][]string{"": {
			"github.com/kedacore/keda/v2/cmd/operator",
			"github.com/kedacore/keda/v2/cmd/adapter",
			"./cmd/promadapter", // custom metrics; it shares nearly all of its packages with KEDA's
		}},
		sources: []string{"cmd/promadapter/*.go"},
		finish: func(dir string) error {
			out, err := goCommand(module, "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2").Output()
			if err != nil {
				return fmt.Errorf("go list -m github.com/kedacore/keda/v2: %w", err)
			}
			return gatherManifests(filepath.Join(strings.TrimSpace(string(out)), "config"), dir)
		},
	}
	sum, err := s.hash(module)
	if err != nil {
		return set{}, err
	}
	s.dir = filepath.Join(home, "programs", "keda-"+sum)
	return s, nil
}

// gatherManifests copies kedaManifests into dir as manifest-NN.yaml, in order.
func gatherManifests(from, dir string) error {
	n := 0
	for _, glob := range kedaManifests {
		files, err := filepath.Glob(filepath.Join(from, glob))
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("no %s in %s", glob, from)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("manifest-%02d.yaml", n)), text, 0o644); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

// BuildKEDA builds KEDA's programs unless they exist, and returns their folder.
// That takes 12 minutes if the Go build cache is cold.
func BuildKEDA(ctx context.Context, log io.Writer) (string, error) {
	module, err := ModuleDir()
	if err != nil {
		return "", err
	}
	home, err := Home()
	if err != nil {
		return "", err
	}
	module = filepath.Join(module, "keda")
	s, err := kedaSet(module, home)
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(home, "build.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := s.build(ctx, module, log); err != nil {
		return "", err
	}
	now := time.Now()
	_ = os.Chtimes(s.dir, now, now) // this affects only how long prune keeps it
	return s.dir, nil
}

// StartKEDA starts KEDA's operator and metrics server in the cluster, with the
// programs of BuildKEDA, and returns when the external metrics API answers. If
// KEDA is already running there, it does nothing.
func (c *Cluster) StartKEDA(ctx context.Context, programs string) error {
	if c.external {
		return errors.New("KEDA in an external cluster is its owner's matter")
	}
	return c.state.order(ctx, order{"keda", programs})
}

// startKEDA installs KEDA from dir and waits for it.
func (v *supervisor) startKEDA(dir string) error {
	if v.find("keda-operator") != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), v.s.Boot)
	defer cancel()
	a, err := newAPI(v.s)
	if err != nil {
		return err
	}
	v.mu.Lock()
	again := v.s.KEDA != ""
	v.s.KEDA = dir
	v.mu.Unlock()
	if !again {
		if err := v.installKEDA(ctx, a, dir); err != nil {
			return err
		}
	}
	for _, name := range []string{"keda-operator", "keda-adapter"} {
		if err := v.start(name); err != nil {
			return err
		}
	}
	if err := wait(ctx, "KEDA's operator ready", func() error {
		res, err := http.Get("http://127.0.0.1:8081/readyz")
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	}); err != nil {
		return err
	}
	return wait(ctx, "external metrics API ready", func() error {
		_, err := a.do(ctx, "GET", "/apis/external.metrics.k8s.io/v1beta1", nil)
		return err
	})
}

// installKEDA creates KEDA's objects, and waits until the API serves its kinds.
func (v *supervisor) installKEDA(ctx context.Context, a api, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "manifest-*.yaml")) // sorted
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no manifests of KEDA; try hpacluster keda", dir)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := a.create(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(f), err)
		}
	}
	text, err := v.s.config("keda.yaml")
	if err != nil {
		return err
	}
	if err := a.create(ctx, text); err != nil {
		return fmt.Errorf("config/keda.yaml: %w", err)
	}
	if err := v.s.writeKEDACerts(); err != nil {
		return err
	}
	return wait(ctx, "ScaledObjects are served", func() error {
		_, err := a.do(ctx, "GET", "/apis/keda.sh/v1alpha1/scaledobjects", nil)
		return err
	})
}

// writeKEDACerts writes the certificate of KEDA's servers under the names that
// KEDA looks for.
func (s state) writeKEDACerts() error {
	dir := s.pki("keda-certs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for from, to := range map[string]string{"ca.crt": "ca.crt", "keda.crt": "tls.crt", "keda.key": "tls.key"} {
		text, err := os.ReadFile(s.pki(from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// kedaEnv starts a program of KEDA with the environment that its pods would have.
func (s state) kedaEnv() []string {
	return []string{"/usr/bin/env", "KUBECONFIG=" + s.pki("keda-client.kubeconfig"), "POD_NAMESPACE=keda",
		"KEDA_CLUSTER_OBJECT_NAMESPACE=keda", "WATCH_NAMESPACE="}
}

// kedaArgs returns a component's arguments. Both components listen on the node's
// own address, where the API server and kubelet use the usual ports.
func (s state) kedaArgs(component string) []string {
	certs := s.pki("keda-certs")
	if component == "keda-operator" {
		return []string{
			"--cert-dir=" + certs,
			"--enable-cert-rotation=false",
			"--enable-prometheus-metrics=false",
			"--zap-encoder=console",
			"--health-probe-bind-address=127.0.0.1:8081",
			"--metrics-service-bind-address=127.0.0.1:9666",
		}
	}
	k := s.pki("keda-client.kubeconfig")
	return []string{"--secure-port=4444", "--port=8083", "--cert-dir=" + certs, "--metrics-service-address=127.0.0.1:9666",
		"--tls-cert-file=" + filepath.Join(certs, "tls.crt"),
		"--tls-private-key-file=" + filepath.Join(certs, "tls.key"),
		"--authentication-kubeconfig=" + k, "--authorization-kubeconfig=" + k, "--lister-kubeconfig=" + k}
}
