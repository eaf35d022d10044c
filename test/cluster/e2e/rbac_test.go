//go:build linux

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// right is one verb on one resource.
type right struct {
	cluster               bool // not in a namespace
	group, resource, verb string
}

// String is how the product names it.
func (r right) String() string {
	if r.group == "" {
		return fmt.Sprintf("verb %s on %s", r.verb, r.resource)
	}
	return fmt.Sprintf("verb %s on %s.%s", r.verb, r.resource, r.group)
}

// printed is what hpatune rbac prints for commands, right by right, and
// whether each is optional.
func (s *suite) printed(t *testing.T, ns string, commands ...string) map[right]bool {
	t.Helper()
	r := s.hpatune(t, t.TempDir(), append([]string{"rbac", "-n", ns}, commands...)...)
	if r.code != 0 {
		t.Fatal(r.stderr)
	}
	if err := s.dryRun(t.Context(), ns, r.stdout); err != nil {
		t.Errorf("the API server does not take what hpatune rbac %v prints: %v", commands, err)
	}
	out := map[right]bool{}
	for doc := range strings.SplitSeq(r.stdout, "\n---\n") {
		if strings.Contains(doc, "\nroleRef:\n") {
			continue // the tests bind by themselves
		}
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := yaml.UnmarshalStrict([]byte(doc), &role); err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(doc, "\nrules:\n")
		text = strings.ReplaceAll(text, "\n#   ", " ") // a comment that goes on
		blocks := strings.Split("\n"+text, "\n# ")[1:]
		if len(blocks) != len(role.Rules) {
			t.Fatalf("%d rules, %d comments:\n%s", len(role.Rules), len(blocks), doc)
		}
		for i, rule := range role.Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out[right{role.Kind == "ClusterRole", rule.APIGroups[0], resource, verb}] = strings.HasPrefix(blocks[i], "optional: ")
				}
			}
		}
	}
	return out
}

// kubeconfigWith makes a service account with just these rights, and waits
// until the API server knows.
func (s *suite) kubeconfigWith(t *testing.T, ns, name string, rights []right) string {
	t.Helper()
	var rules, clusterRules []rbacv1.PolicyRule
	for _, r := range rights {
		rule := rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: []string{r.verb}}
		if r.cluster {
			clusterRules = append(clusterRules, rule)
		} else {
			rules = append(rules, rule)
		}
	}
	path := s.kubeconfigFor(t, ns, name, rules, clusterRules)
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	config.Dial = s.c.Dial
	its, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the API server knows the rights of "+name, func(ctx context.Context) error {
		review, err := its.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx,
			&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: ns}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		for _, r := range rights {
			if !slices.ContainsFunc(review.Status.ResourceRules, func(x authorizationv1.ResourceRule) bool {
				return slices.Contains(x.APIGroups, r.group) && slices.Contains(x.Resources, r.resource) && slices.Contains(x.Verbs, r.verb)
			}) {
				return fmt.Errorf("%s is not there yet", r)
			}
		}
		return nil
	})
	return path
}

// asked is the set of requests that a command sent to the API server.
type asked struct {
	mu      sync.Mutex
	rights  map[right]bool
	refused []string
}

// overheard puts a recording proxy between a kubeconfig's user and the API server, and returns the
// kubeconfig that uses it.
func (s *suite) overheard(t *testing.T, kubeconfig string) (path string, a *asked) {
	t.Helper()
	api, err := url.Parse(s.config.Host)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.config.CAData) {
		t.Fatal("no certificate of the API server")
	}
	a = &asked{rights: map[right]bool{}}
	proxy := httputil.NewSingleHostReverseProxy(api)
	proxy.Transport = &http.Transport{DialContext: s.c.Dial, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	proxy.FlushInterval = -1
	infos := apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.StatusCode == http.StatusForbidden {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.refused = append(a.refused, r.Request.Method+" "+r.Request.URL.Path)
		}
		return nil
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := infos.NewRequestInfo(r)
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		} else if info.IsResourceRequest && info.APIGroup != "authorization.k8s.io" {
			resource := info.Resource
			if info.Subresource != "" {
				resource += "/" + info.Subresource
			}
			a.mu.Lock()
			a.rights[right{info.Namespace == "", info.APIGroup, resource, info.Verb}] = true
			a.mu.Unlock()
		}
		defer func() { _ = recover() }() // of http.ErrAbortHandler: a watch that was left
		proxy.ServeHTTP(w, r)
	}))
	var ln net.Listener
	if err := s.c.In(func() (err error) {
		ln, err = net.Listen("tcp", cluster.NodeIP+":0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	srv.Listener.Close()
	srv.Listener = ln
	srv.StartTLS() // a kubeconfig's token is sent over TLS only
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server, c.TLSServerName = "https://"+ln.Addr().String(), "example.com" // httptest's
		c.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	}
	path = filepath.Join(t.TempDir(), "overheard.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path, a
}

// rbacProfile is so long that the lease, taken before it, is renewed once.
const rbacProfile = `name: rbac
target: {protocol: openai-completions, path: /v1/completions, model: tinyllm}
classes: [{name: small, prompt_tokens: 8, output_tokens: 8}]
stages: [{name: hold, rate: 4/s, duration: 14s}]
`

// TestTheRoleIsExactlyWhatTheCommandAsksFor runs each command as a service account with only the
// printed Role, and records its requests. None is refused, the Role lacks nothing, and every right
// in it is used. Without -full it tests run and run --workers, which together use everything that
// is optional.
func TestTheRoleIsExactlyWhatTheCommandAsksFor(t *testing.T) {
	s := needOurs(t)
	s.importWorker(t)
	var mu sync.Mutex
	optional := map[right]bool{} // of all cases, and whether any asked for it
	t.Run("all at once", func(t *testing.T) {
		for _, tt := range []struct {
			command string // of hpatune rbac
			hpa     bool
			args    []string
		}{
			{"run", true, []string{"--url", "URL"}},
			{"run --apply", true, []string{"--url", "URL", "--apply", "-f", "hpa.yaml"}},
			{"run --fix-replicas", false, []string{"--url", "URL", "--fix-replicas", "1"}},
			{"run --workers", true, []string{"--workers", "1", "--image", workerImage, "--worker-cpu", "200m", "--worker-memory", "128Mi"}},
			{"run --prometheus", true, []string{"--url", "URL", "--prometheus", "NS/prometheus:9090"}},
			{"run --scrape", true, []string{"--url", "URL", "--scrape", ":8000/metrics"}},
			{"run --throttling", true, []string{"--url", "URL", "--throttling"}},
		} {
			if !*full && tt.command != "run" && tt.command != "run --workers" {
				continue
			}
			t.Run(tt.command, func(t *testing.T) {
				t.Parallel()
				ns := s.namespace(t)
				w := s.deploy(t, ns, tinyllm("chat"))
				if tt.command == "run --prometheus" {
					s.prometheus(t, ns)
				}
				args := []string{"run", "--target", "deployment/chat"}
				if tt.hpa {
					s.cpuHPA(t, w, 1, 2, 90)
					args = []string{"run", "--hpa", ns + "/chat"}
				}
				dir := t.TempDir()
				s.write(t, dir, "profile.yaml", rbacProfile)
				s.write(t, dir, "hpa.yaml", fmt.Sprintf(hpaOfChat, 80))
				for _, a := range append(tt.args, "-p", "profile.yaml", "--yes") {
					args = append(args, strings.NewReplacer("URL", w.url, "NS", ns).Replace(a))
				}
				unused := s.asExactly(t, ns, dir, tt.command, args...)
				base := s.printed(t, ns, "run")
				mu.Lock()
				defer mu.Unlock()
				for r, isOptional := range s.printed(t, ns, tt.command) {
					_, inBase := base[r]
					switch {
					case isOptional:
						optional[r] = optional[r] || !unused[r]
					case unused[r] && (tt.command == "run" || !inBase):
						t.Errorf("the Role has %s, and nobody asked for it", r)
					}
				}
			})
		}
	})
	for r, used := range optional {
		switch r.group {
		case "custom.metrics.k8s.io", "external.metrics.k8s.io": // no adapter here
		case "keda.sh": // its HPAs alone lead to a ScaledObject
		default:
			if !used && r.resource != "gateways" { // no route here that names one
				t.Errorf("the Roles have %s as an option, and nobody asked for it", r)
			}
		}
	}
}

// asExactly runs the product as a service account with exactly the printed Role of a command; no
// request is refused and the Role lacks nothing. It returns the rights of the Role that were not
// used, except those on kinds of targets that the test does not have.
func (s *suite) asExactly(t *testing.T, ns, dir, command string, args ...string) (unused map[right]bool) {
	t.Helper()
	rights := s.printed(t, ns, command)
	kubeconfig, heard := s.overheard(t, s.kubeconfigWith(t, ns, "exact", slices.Collect(maps.Keys(rights))))
	r := s.hpatuneAs(t, kubeconfig, dir, args...)
	if r.code != 0 && r.code != 4 { // 4: not valid, on a machine that is busy
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	if r.code == 4 {
		say(t, "%s", r.stdout)
	}
	for _, word := range []string{"no permission to", "forbidden", "needs verb", "cannot watch", "observer-blind"} {
		if strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("it says %q:\n%s%s", word, r.stdout, r.stderr)
		}
	}
	heard.mu.Lock()
	defer heard.mu.Unlock()
	if len(heard.refused) > 0 {
		t.Errorf("the API server has refused %v", heard.refused)
	}
	unused = map[right]bool{}
	for r := range rights {
		if !heard.rights[r] && !strings.HasPrefix(r.resource, "statefulsets") && !strings.HasPrefix(r.resource, "replicasets") {
			unused[r] = true
		}
	}
	return unused
}

// TestRestoresRoleIsExactlyWhatItAsksFor runs restore after a dead run of each kind.
func TestRestoresRoleIsExactlyWhatItAsksFor(t *testing.T) {
	s := needOurs(t)
	s.scaledObjectsServed(t)
	ns := s.namespace(t)
	s.apply(t, ns, fmt.Sprintf(idleTargets, "bare"))
	s.apply(t, ns, fmt.Sprintf(scaledOnCPU, ns, `, annotations: {hpatune.dev/original: '{"run":"dead","scaled":{"maxReplicaCount":9,"scaleTargetRef":{"name":"chat"},"triggers":[{"type":"cpu","metadata":{"value":"60"}}]}}'}`, 3, 70))
	s.apply(t, ns, fmt.Sprintf(hpaOfChat, 90))
	s.apply(t, ns, "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: hpatune-deployment-bare}}")
	note := func(value string) []byte {
		b, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{"hpatune.dev/original": value}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := s.kube.AppsV1().Deployments(ns).Patch(t.Context(), "bare", types.MergePatchType, note(`{"run":"dead","replicas":1,"fixed":0}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	hpa, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(t.Context(), "chat", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hpa.Spec.MaxReplicas = 7
	spec, err := json.Marshal(hpa.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Patch(t.Context(), "chat", types.MergePatchType, note(`{"run":"dead","spec":`+string(spec)+`}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if unused := s.asExactly(t, ns, t.TempDir(), "restore", "restore", "-n", ns); len(unused) > 0 {
		t.Errorf("the Role has %v, and nobody asked for them", slices.Collect(maps.Keys(unused)))
	}
	if d, err := s.kube.AppsV1().Deployments(ns).Get(t.Context(), "bare", metav1.GetOptions{}); err != nil || *d.Spec.Replicas != 1 || len(d.Annotations["hpatune.dev/original"]) > 0 {
		t.Errorf("the Deployment is %+v with %v, %v; want one replica, as before", d.Spec.Replicas, d.Annotations, err)
	}
	if hpa, err = s.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(t.Context(), "chat", metav1.GetOptions{}); err != nil || hpa.Spec.MaxReplicas != 7 || len(hpa.Annotations) > 0 {
		t.Errorf("the HPA is %+v with %v, %v; want what was there before", hpa.Spec, hpa.Annotations, err)
	}
	so := s.scaledObject(t, ns)
	if spec := so.Object["spec"].(map[string]any); spec["maxReplicaCount"] != int64(9) || spec["cooldownPeriod"] != nil || len(so.GetAnnotations()) > 0 {
		t.Errorf("the ScaledObject is %v; want what was there before", so.Object)
	}
}

func TestWithoutTheOptionalRightsARunGoesOnAndSaysWhatItLacks(t *testing.T) {
	s := needFull(t)
	ns := s.namespace(t)
	w := s.deploy(t, ns, tinyllm("chat"))
	s.cpuHPA(t, w, 1, 2, 90)
	dir := t.TempDir()
	s.write(t, dir, "profile.yaml", strings.Replace(rbacProfile, "14s", "10s", 1))
	var needed []right
	without := map[string]bool{}
	for r, optional := range s.printed(t, ns, "run") {
		switch {
		case !optional:
			needed = append(needed, r)
		// An HPA on CPU needs no adapter, and this cluster has no Gateway API.
		case !strings.Contains(r.group, ".metrics.k8s.io") && !strings.HasPrefix(r.group, "gateway."):
			without[r.resource] = true
		}
	}
	r := s.hpatuneAs(t, s.kubeconfigWith(t, ns, "needed", needed), dir, "run", "--hpa", ns+"/chat", "--url", w.url, "-p", "profile.yaml", "--yes")
	if r.code != 0 && r.code != 4 {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	for resource := range without {
		if !slices.ContainsFunc(strings.Split(r.stderr, "\n"), func(line string) bool {
			return strings.Contains(line, "no permission to ") && strings.Contains(line, " "+resource)
		}) {
			t.Errorf("it does not say that it has no permission on %s", resource)
		}
	}
	if n := strings.Count(r.stderr, "warning: no permission to"); n != len(without) {
		t.Errorf("%d things are lacking, want %d", n, len(without))
	}
	say(t, "%s", r.stderr)
}

const hpaOfChat = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: chat}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
  minReplicas: 1
  maxReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: %d}}}]
`

// idleTargets are one target of each kind, without pods, and an HPA for the first: enough to test
// refusals.
const idleTargets = `apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec: {replicas: 0, selector: {matchLabels: {app: %[1]s}}, template: {metadata: {labels: {app: %[1]s}}, spec: {containers: [{name: x, image: hpacluster.test/pause:1}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: %[1]s}
spec: {replicas: 0, serviceName: %[1]s, selector: {matchLabels: {app: s%[1]s}}, template: {metadata: {labels: {app: s%[1]s}}, spec: {containers: [{name: x, image: hpacluster.test/pause:1}]}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: %[1]s}
spec: {replicas: 0, selector: {matchLabels: {app: r%[1]s}}, template: {metadata: {labels: {app: r%[1]s}}, spec: {containers: [{name: x, image: hpacluster.test/pause:1}]}}}
`

// TestOneVerbLessIsRefusedByItsName removes each required right of a printed Role, one at a time.
// The targets need no pods, since the refusal comes first.
func TestOneVerbLessIsRefusedByItsName(t *testing.T) {
	s := need(t)
	ns := s.namespace(t)
	s.apply(t, ns, fmt.Sprintf(idleTargets, "chat")+"---\n"+fmt.Sprintf(hpaOfChat, 90))
	s.apply(t, ns, fmt.Sprintf(idleTargets, "bare")) // without an HPA
	dir := t.TempDir()
	s.write(t, dir, "hpa.yaml", fmt.Sprintf(hpaOfChat, 80))
	base := s.printed(t, ns, "run")
	for _, tt := range []struct {
		command, target string
		args            []string
	}{
		{"run", "--hpa=chat", nil},
		{"run --apply", "--hpa=chat", []string{"--apply", "-f", "hpa.yaml"}},
		{"run --fix-replicas", "--target=deployment/bare", []string{"--fix-replicas", "1"}},
		{"run --workers", "--hpa=chat", []string{"--workers", "1", "--image", workerImage}},
		{"run --prometheus", "--target=deployment/bare", []string{"--prometheus", ns + "/prometheus:9090"}},
	} {
		rights := s.printed(t, ns, tt.command)
		n := 0
		for missing, optional := range rights {
			if _, before := base[missing]; optional || before && tt.command != "run" {
				continue
			}
			n++
			name := fmt.Sprintf("u%d-%s", n, strings.NewReplacer(" --", "-", " ", "-").Replace(tt.command))
			t.Run(tt.command+" without "+missing.String(), func(t *testing.T) {
				t.Parallel()
				target := tt.target
				for _, kind := range []string{"statefulset", "replicaset"} {
					if strings.HasPrefix(missing.resource, kind) {
						target = "--target=" + kind + "/bare"
					}
				}
				var others []right
				for r := range rights {
					if r != missing && !r.cluster {
						others = append(others, r)
					}
				}
				r := s.hpatuneAs(t, s.kubeconfigWith(t, ns, name, others), dir, append([]string{"run", target, "-n", ns, "--url", "http://127.0.0.1:1", "-p", "steady", "--yes"}, tt.args...)...)
				command := tt.command
				if strings.Contains(command, " ") {
					command = "'" + command + "'"
				}
				if want := fmt.Sprintf("needs %s in %s: hpatune rbac %s prints the Role", missing, ns, command); r.code != 1 || strings.Count(r.stderr, "needs verb") != 1 || !strings.Contains(r.stderr, want) {
					t.Errorf("exit code %d, want 1 and only %q:\n%s", r.code, want, r.stderr)
				}
			})
		}
	}
	t.Cleanup(func() { // after the parallel ones
		if _, err := os.Stat(filepath.Join(dir, "results")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is a run folder (%v)", err)
		}
	})
}

// write writes a file for a test.
func (s *suite) write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
