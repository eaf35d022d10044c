package observer

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	promconfig "github.com/prometheus/common/config"
	"k8s.io/client-go/rest"

	"github.com/hpatune/hpatune/internal/kube"
)

func TestParseQuery(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Query // zero = refused
	}{
		{"a name before an expression", "queue=sum(vllm:num_requests_waiting)", Query{Name: "queue", PromQL: "sum(vllm:num_requests_waiting)"}},
		{"an expression names itself", `sum(rate(http_requests_total{code="200"}[1m]))`, Query{Name: `sum(rate(http_requests_total{code="200"}[1m]))`, PromQL: `sum(rate(http_requests_total{code="200"}[1m]))`}},
		{"a comparison is no name", "up==1", Query{Name: "up==1", PromQL: "up==1"}},
		{"a recording rule's name has colons", "job:asked:rate1m=sum(rate(asked[1m]))", Query{Name: "job:asked:rate1m", PromQL: "sum(rate(asked[1m]))"}},
		{"spaces around are dropped", " queue = sum(x) ", Query{Name: "queue", PromQL: "sum(x)"}},
		{"a name without an expression is refused", "queue=", Query{}},
		{"nothing is refused", " ", Query{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseQuery(tt.text)
			if got != tt.want || (err != nil) != (tt.want == Query{}) {
				t.Errorf("ParseQuery(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
			}
		})
	}
}

// answering is a server that gives every query this answer, and remembers the
// last request.
func answering(t *testing.T, status int, body string) (where string, last *http.Request) {
	last = new(http.Request)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		*last = *r
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, last
}

// directly is a Prometheus that is reached by its URL.
func directly(t *testing.T, access PrometheusAccess) *Prometheus {
	t.Helper()
	client, where, err := access.client(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Prometheus{where: where, api: promv1.NewAPI(client)}
}

func TestQuery(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"two pods are ordered by name", 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"b"},"value":[1700000000.5,"2"]},{"metric":{"pod":"a"},"value":[1700000000.5,"1"]}]}}`, "a=1 b=2"},
		{"no series", 200, `{"status":"success","data":{"resultType":"vector","result":[]}}`, ""},
		{"a scalar is one series without labels", 200, `{"status":"success","data":{"resultType":"scalar","result":[1700000000.5,"3"]}}`, "=3"},
		{"a NaN is a value", 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}`, "=NaN"},
		{"a refusal says why", 400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, "error: refused: parse error"},
		{"a page of HTML is no Prometheus", 200, `<html>`, "error: not a Prometheus API"},
		{"a wrong path is told with the answer", 404, `no such page`, "error: client error: 404: no such page"},
		{"a login that is missing names the flag", 401, `who are you?`, "error: client error: 401: who are you?; pass credentials with --prometheus-config FILE"},
		{"a range is refused with what to write", 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "error: the result is a matrix, want an instant vector"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			where, _ := answering(t, tt.status, tt.body)
			list, err := directly(t, PrometheusAccess{Where: where}).query(t.Context(), "x")
			var got []string
			for _, s := range list {
				got = append(got, fmt.Sprintf("%s=%g", s.label("pod"), s.value))
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = "error: " + err.Error()
			}
			if !strings.HasPrefix(text, tt.want) || tt.want == "" && text != "" {
				t.Errorf("query = %q, want %q", text, tt.want)
			}
		})
	}
}

func TestAnAnswerThatIsTooLongIsAnErrorAndNotCut(t *testing.T) {
	b := &boundedBody{io.NopCloser(strings.NewReader("0123456789")), 4 << 20, 4 << 20}
	if got, err := io.ReadAll(b); err != nil || string(got) != "0123456789" {
		t.Errorf("a short answer = %q, %v", got, err)
	}
	b = &boundedBody{io.NopCloser(strings.NewReader("0123456789")), 4, 1 << 20}
	if _, err := io.ReadAll(b); err == nil || !strings.Contains(err.Error(), "larger than 1 MB; aggregate the query") {
		t.Errorf("a long answer: %v, want the limit and what to do", err)
	}
}

func TestHTTPConfig(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("token", "from-a-file\n")
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"TOKEN": `0123"$x`, "TENANT": "blue"}[name]
		return v, ok
	}
	for _, tt := range []struct {
		name, config string
		header, want string // of the request
		err          string
	}{
		{"a bearer token from a file beside it", "authorization: {credentials_file: token}", "Authorization", "Bearer from-a-file", ""},
		{"a bearer token from the environment, whatever is in it", "authorization: {credentials: '${TOKEN}'}", "Authorization", `Bearer 0123"$x`, ""},
		{"basic authentication", "basic_auth: {username: a, password: b}", "Authorization", "Basic YTpi", ""},
		{"a tenant's header", "http_headers: {X-Scope-OrgID: {values: ['${TENANT}']}}", "X-Scope-Orgid", "blue", ""},
		{"an empty file changes nothing", "", "Authorization", "", ""},
		{"a variable that is not set is named with its line", "basic_auth:\n  username: a\n  password: ${NONE}", "", "", "line 3: the environment variable NONE is not set"},
		{"a field that is none is named", "bearer: x", "", "", "field bearer not found"},
		{"two ways to log in are refused", "basic_auth: {username: a}\nauthorization: {credentials: b}", "", "", "at most one of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config, err := LoadHTTPConfig(file("http.yaml", tt.config), env)
			if err != nil || tt.err != "" {
				if tt.err == "" || !strings.Contains(fmt.Sprint(err), tt.err) {
					t.Errorf("LoadHTTPConfig = %v, want %q", err, tt.err)
				}
				return
			}
			where, last := answering(t, 200, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
			if _, err := directly(t, PrometheusAccess{Where: where, HTTP: config}).query(t.Context(), "up"); err != nil {
				t.Fatal(err)
			}
			if got := last.Header.Get(tt.header); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.want)
			}
			if got := last.Form.Get("query"); got != "up" {
				t.Errorf("query %q, want up", got)
			}
		})
	}
}

func TestPrometheusAccess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		access PrometheusAccess
		want   string // of where, or of the error
	}{
		{"a password in the URL is not shown", PrometheusAccess{Where: "http://me:secret@127.0.0.1:9090/prom"}, "http://me:xxxxx@127.0.0.1:9090/prom"},
		{"a Service needs its port", PrometheusAccess{Where: "monitoring/prometheus"}, `prometheus "monitoring/prometheus": want a URL or NAMESPACE/SERVICE:PORT; try monitoring/prometheus:9090`},
		{"credentials do nothing through the API server", PrometheusAccess{Where: "monitoring/prometheus:9090", HTTP: &promconfig.HTTPClientConfig{}},
			"prometheus monitoring/prometheus:9090: the API server does not forward credentials; pass the URL of Prometheus to use --prometheus-config"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got, err := tt.access.client(nil)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("client = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAPrometheusBehindTheAPIServerIsAskedByGet(t *testing.T) {
	where, last := answering(t, 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"a"},"value":[1,"2"]}]}}`)
	c, err := kube.New(&rest.Config{Host: where})
	if err != nil {
		t.Fatal(err)
	}
	client, _, err := PrometheusAccess{Where: "monitoring/prometheus:9090"}.client(c)
	if err != nil {
		t.Fatal(err)
	}
	list, err := (&Prometheus{api: promv1.NewAPI(client)}).query(t.Context(), `x{a="b"}`)
	if err != nil || len(list) != 1 || list[0].value != 2 {
		t.Errorf("query = %v, %v, want one series of 2", list, err)
	}
	if got := last.Method + " " + last.URL.Path + " " + last.URL.Query().Get("query"); got != `GET /api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query x{a="b"}` {
		t.Errorf("it asked %s", got)
	}
}
