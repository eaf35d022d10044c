//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// client returns an HTTP client that reaches ClusterIPs and pods; each request
// gets a connection of its own, so that kube-proxy spreads them.
func (s *suite) client() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: s.c.Dial, DisableKeepAlives: true}}
}

// kubeconfigFor creates a service account in ns with exactly these rights, and returns the
// path of a kubeconfig with its token, for hpatuneAs. clusterRules apply to all namespaces, rules
// only to ns.
func (s *suite) kubeconfigFor(t *testing.T, ns, name string, rules, clusterRules []rbacv1.PolicyRule) string {
	t.Helper()
	ctx, meta := t.Context(), metav1.ObjectMeta{Name: name}
	subject := []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: ns}}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("rights of %s: %v", name, err)
		}
	}
	_, err := s.kube.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	check(err)
	if rules != nil {
		_, err = s.kube.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
		check(err)
		_, err = s.kube.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}}, metav1.CreateOptions{})
		check(err)
	}
	if clusterRules != nil {
		meta.Name = ns + "-" + name
		_, err = s.kube.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: clusterRules}, metav1.CreateOptions{})
		check(err)
		t.Cleanup(func() {
			_ = s.kube.RbacV1().ClusterRoles().Delete(context.Background(), meta.Name, metav1.DeleteOptions{})
		})
		_, err = s.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name}}, metav1.CreateOptions{})
		check(err)
		t.Cleanup(func() {
			_ = s.kube.RbacV1().ClusterRoleBindings().Delete(context.Background(), meta.Name, metav1.DeleteOptions{})
		})
	}
	hour := int64(3600)
	token, err := s.kube.CoreV1().ServiceAccounts(ns).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{})
	check(err)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: s.config.Host, CertificateAuthorityData: s.config.CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: ns}
	config.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), name+".kubeconfig")
	check(clientcmd.WriteToFile(*config, path))
	return path
}

// hpatuneDir holds the product once it is built; run removes it.
var hpatuneDir string

// hpatuneOnce builds the product's command from the clone, once.
var hpatuneOnce = sync.OnceValues(func() (string, error) {
	module, err := cluster.ModuleDir()
	if err != nil {
		return "", err
	}
	if hpatuneDir, err = os.MkdirTemp("", "hpatune-e2e-"); err != nil {
		return "", err
	}
	bin := filepath.Join(hpatuneDir, "hpatune")
	cmd := exec.Command("go", append(append([]string{"build", "-o", bin}, cluster.BuildFlags...), "./cmd/hpatune")...)
	cmd.Dir = filepath.Join(module, "..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build hpatune: %w\n%s", err, out)
	}
	return bin, nil
})

// result is the output of a command and its exit code.
type result struct {
	stdout, stderr string
	code           int // exit code; -1 when a signal ended it
}

// hpatune runs the product in the cluster's network namespace with KUBECONFIG set, in the working
// directory dir, and waits for it. The test judges the exit code.
func (s *suite) hpatune(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return s.hpatuneAs(t, s.c.Kubeconfig(), dir, args...)
}

// hpatuneAs is hpatune with another kubeconfig: another user's rights.
func (s *suite) hpatuneAs(t *testing.T, kubeconfig, dir string, args ...string) result {
	t.Helper()
	cmd, out, errs := s.hpatuneCmd(t, dir, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	began := time.Now()
	err := s.c.In(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("hpatune %s: %v", strings.Join(args, " "), err)
	}
	say(t, "hpatune %s: exit code %d after %.1f s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), time.Since(began).Seconds())
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// hpatuneCmd prepares a run of the product for a test that wants to signal it
// in mid-run; start it with s.c.Start(cmd).
func (s *suite) hpatuneCmd(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	bin, err := hpatuneOnce()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // no load without its test
	return cmd, stdout, stderr
}

// served is the outcome of a load.
type served struct {
	ok, failed int
	shed       int            // not sent: too many were under way
	by         map[string]int // good answers by pod (X-Served-By)
	lastError  string
}

// load sends rate requests a second to url (a POST of body when it is not empty) until ctx ends,
// open loop, each on its own connection. Only tests of the cluster itself use it; tests of the
// product send load with the product.
func (s *suite) load(ctx context.Context, t *testing.T, url, body string, rate int) served {
	t.Helper()
	if rate < 1 || rate > 150 {
		t.Fatalf("load of %d/s: want 1 to 150, the machine has the cluster to run as well", rate)
	}
	var mu sync.Mutex
	out := served{by: map[string]int{}}
	client := s.client()
	slots := make(chan struct{}, 128)
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-tick.C:
		}
		select {
		case slots <- struct{}{}:
		default:
			mu.Lock()
			out.shed++
			mu.Unlock()
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			pod, err := ask(client, url, body)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.failed++
				out.lastError = err.Error()
				return
			}
			out.ok++
			out.by[pod]++
		})
	}
	wg.Wait()
	return out
}

// ask sends one request and returns which pod gave the good answer.
func ask(client *http.Client, url, body string) (pod string, err error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	text, err := readAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", res.Status, text)
	}
	return res.Header.Get("X-Served-By"), err
}

// seen is one state of an HPA as the API server reported it.
type seen struct {
	at               time.Time
	current, desired int32
	cpu              int32 // percent of the request; -1 when there was none
}

// watchHPA records every change of an HPA's replicas and CPU, as kubectl get hpa -w shows them,
// until the returned function is called, which returns the history. It reopens a watch that breaks.
func (s *suite) watchHPA(t *testing.T, ns, name string) (stop func() []seen) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var history []seen
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			w, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Watch(ctx,
				metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
			if err != nil {
				time.Sleep(200 * time.Millisecond)
				continue
			}
			for e := range w.ResultChan() {
				h, ok := e.Object.(*autoscalingv2.HorizontalPodAutoscaler)
				if !ok {
					continue
				}
				now := seen{time.Now(), h.Status.CurrentReplicas, h.Status.DesiredReplicas, -1}
				for _, m := range h.Status.CurrentMetrics {
					if m.Resource != nil && m.Resource.Current.AverageUtilization != nil {
						now.cpu = *m.Resource.Current.AverageUtilization
					}
				}
				if n := len(history); n == 0 || history[n-1].current != now.current || history[n-1].desired != now.desired || history[n-1].cpu != now.cpu {
					say(t, "HPA %s: cpu %d%%, current %d, desired %d", name, now.cpu, now.current, now.desired)
					history = append(history, now)
				}
			}
		}
	})
	var once sync.Once
	end := func() []seen {
		once.Do(func() { cancel(); wg.Wait() })
		return history
	}
	t.Cleanup(func() { end() })
	return end
}
