//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// prometheus is a running server of Debian's package, in a pod.
type prometheus struct {
	s   *suite
	url string // for --prometheus of a program that runs inside: its ClusterIP
	svc string // NS/SERVICE:PORT, for access through the API server's proxy, which leads to pods only
}

// prometheusManifest needs the address of the test's target list. Debian's build has no
// kubernetes_sd; it asks the test for its targets.
const prometheusManifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus}
data:
  prometheus.yml: |
    global: {scrape_interval: 1s, scrape_timeout: 1s}
    scrape_configs:
    - job_name: pods
      http_sd_configs: [{url: "http://%s/", refresh_interval: 1s}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus}
spec:
  selector: {matchLabels: {app: prometheus}}
  template:
    metadata: {labels: {app: prometheus}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 2
      containers:
      - name: prometheus
        image: hpacluster.test/prometheus:1
        imagePullPolicy: Never
        args: [--config.file=/config/prometheus.yml, --storage.tsdb.path=/data, --web.listen-address=:9090, --log.level=warn]
        ports: [{name: http, containerPort: 9090}]
        resources: {requests: {cpu: 50m, memory: 64Mi}}
        readinessProbe: {httpGet: {path: /-/ready, port: http}, periodSeconds: 1}
        volumeMounts: [{name: config, mountPath: /config}, {name: data, mountPath: /data}]
      volumes: [{name: config, configMap: {name: prometheus}}, {name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: prometheus}
spec: {selector: {app: prometheus}, ports: [{name: http, port: 9090, targetPort: http}]}
`

// prometheus starts Prometheus on the pods of ns that are annotated prometheus.io/scrape: "true"
// (deploy's are), with 1 s scrapes. It runs in ns and ends with it.
func (s *suite) prometheus(t *testing.T, ns string) prometheus {
	t.Helper()
	bin, err := exec.LookPath("prometheus")
	if err != nil {
		if required() {
			t.Fatal("no prometheus; try apt-get install --no-install-recommends prometheus")
		}
		t.Skip("no prometheus")
	}
	if s.c.External() {
		t.Skip("an external cluster has no image of Prometheus that we know of")
	}
	archive := filepath.Join(t.TempDir(), "prometheus.tar")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := librariesOf(bin)
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.WriteImage(f, "hpacluster.test/prometheus:1", bin, libraries...); err != nil {
		t.Fatal(err)
	}
	if err := s.c.Import(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	s.apply(t, ns, fmt.Sprintf(prometheusManifest, s.serveTargets(t, ns)))
	s.waitAvailable(t, workload{namespace: ns, name: "prometheus"}, time.Minute)
	svc, err := s.kube.CoreV1().Services(ns).Get(t.Context(), "prometheus", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return prometheus{s, "http://" + svc.Spec.ClusterIP + ":9090", ns + "/prometheus:9090"}
}

// librariesOf lists the shared libraries that a program is linked to, its
// loader among them; none for a static one.
func librariesOf(program string) ([]string, error) {
	out, err := exec.Command("ldd", program).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "not a dynamic executable") {
		return nil, fmt.Errorf("ldd %s: %w: %s", program, err, out)
	}
	var paths []string
	for f := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(f, "/") {
			paths = append(paths, f)
		}
	}
	return paths, nil
}

// serveTargets answers Prometheus' HTTP service discovery with the running,
// annotated pods of ns, on an address that pods reach; it ends with the test.
func (s *suite) serveTargets(t *testing.T, ns string) (addr string) {
	t.Helper()
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	var ln net.Listener
	err := s.c.In(func() (err error) {
		ln, err = net.Listen("tcp", cluster.NodeIP+":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pods, err := s.kube.CoreV1().Pods(ns).List(r.Context(), metav1.ListOptions{})
		if err != nil { // the API server may be away for a test's sake; Prometheus keeps its targets
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		groups := []group{}
		for _, p := range pods.Items {
			if p.Annotations["prometheus.io/scrape"] == "true" && p.Status.PodIP != "" && p.Status.Phase == corev1.PodRunning {
				groups = append(groups, group{[]string{net.JoinHostPort(p.Status.PodIP, p.Annotations["prometheus.io/port"])},
					map[string]string{"namespace": ns, "pod": p.Name}})
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(groups) // a reader who left asks again
	}))
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	return ln.Addr().String()
}

// query returns the value of an instant query that has exactly one series.
func (p prometheus) query(promql string) (float64, error) {
	res, err := p.s.client().Get(p.url + "/api/v1/query?query=" + url.QueryEscape(promql))
	if err != nil {
		return 0, err
	}
	text, err := readAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s: %s", promql, res.Status, text)
	}
	var v struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return 0, err
	}
	if n := len(v.Data.Result); n != 1 {
		return 0, fmt.Errorf("%s: %d series, want 1", promql, n)
	}
	text, _ = v.Data.Result[0].Value[1].(string)
	return strconv.ParseFloat(text, 64)
}

func TestPrometheusSeesThePayloadsColdStartAndWork(t *testing.T) {
	s := needOurs(t)
	ns := s.namespace(t)
	p := s.prometheus(t, ns)
	w := s.deploy(t, ns, tinyllm("chat"))
	l := s.deploy(t, ns, linguaserver("language", 8))

	pods, err := s.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=language"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods of the language server, %v", len(pods.Items), err)
	}
	const asked, answer = 20, `{"prompt":"scale me up","max_tokens":32}`
	for range asked {
		if _, err := ask(s.client(), w.url+"/v1/completions", answer); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ask(s.client(), l.url+"/v2/models/lingua/infer", `{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["der schnelle braune Fuchs"]}]}`); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		promql string
		want   float64
	}{
		{`sum(vllm:generation_tokens_total)`, 32 * asked},
		{`sum(vllm:prompt_tokens_total)`, 3 * asked},
		{`sum(vllm:request_success_total{finished_reason="length"})`, asked},
		{`sum(vllm:time_to_first_token_seconds_count)`, asked},
		{`count(vllm:num_requests_running{pod=~"chat-.*"})`, 1},
		{`sum(request_predict_total{code="200"})`, 1},
	} {
		eventually(t, 20*time.Second, q.promql, func(context.Context) error {
			got, err := p.query(q.promql)
			if err == nil && got != q.want {
				err = fmt.Errorf("%v, want %v", got, q.want)
			}
			return err
		})
	}
	// A real cold start: 0.4 CPU seconds or more of loading, at 0.3 of a core.
	load, err := p.query("model_load_seconds")
	if err != nil {
		t.Fatal(err)
	}
	say(t, "the language server loaded its models in %.2f s", load)
	if load < 0.2 {
		t.Errorf("model_load_seconds = %v, want a cold start that can be felt", load)
	}
	// The path that --prometheus NS/SERVICE:PORT uses.
	b, err := s.kube.CoreV1().Services(ns).ProxyGet("http", "prometheus", "9090", "/api/v1/query", map[string]string{"query": "sum(vllm:request_success_total)"}).DoRaw(t.Context())
	if err != nil {
		t.Errorf("Prometheus through the API server's proxy: %v %s", err, b)
	}
}
