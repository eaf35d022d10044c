package observer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/api"
	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"github.com/hpatune/hpatune/internal/kube"
)

// PrometheusAccess says where a Prometheus is and how to log in to it.
type PrometheusAccess struct {
	// Where is its URL, or NAMESPACE/SERVICE:PORT, which is read through the API server
	// with the kubeconfig's own credentials.
	Where string
	// HTTP is how to reach a URL: bearer token, basic authentication, client
	// certificates, CA, headers; nil = as it is. It does nothing for a Service.
	HTTP *promconfig.HTTPClientConfig
}

// promAnswerLimit is the longest answer that is read, in bytes. 32 MB is about 200,000
// series; a query that returns more forgot to aggregate.
const promAnswerLimit = 32 << 20

// LoadHTTPConfig reads a file in the form of Prometheus' own http_config. ${NAME}
// in a value is replaced by the environment variable of that name; one that is
// not set is an error. Relative paths in it are relative to the file.
//
// Source: prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config.
func LoadHTTPConfig(path string, getenv func(string) (string, bool)) (*promconfig.HTTPClientConfig, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := expandNode(&doc, getenv); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if content, err = yaml.Marshal(&doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c, err := promconfig.LoadHTTPConfig(string(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; the fields are those of Prometheus' http_config", path, err)
	}
	c.SetDirectory(filepath.Dir(path))
	return c, nil
}

var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// expandNode replaces ${NAME} in the scalar values below n, and names all
// variables that are not set.
func expandNode(n *yaml.Node, getenv func(string) (string, bool)) error {
	var errs []error
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${") {
		n.Value = variable.ReplaceAllStringFunc(n.Value, func(ref string) string {
			name := ref[2 : len(ref)-1]
			v, ok := getenv(name)
			if !ok {
				errs = append(errs, fmt.Errorf("line %d: the environment variable %s is not set", n.Line, name))
			}
			return v
		})
		n.Style = yaml.DoubleQuotedStyle // a token of digits stays text
	}
	for _, child := range n.Content {
		errs = append(errs, expandNode(child, getenv))
	}
	return errors.Join(errs...)
}

// client returns what asks the Prometheus, and its address without a password.
func (a PrometheusAccess) client(c *kube.Cluster) (api.Client, string, error) {
	if !strings.Contains(a.Where, "://") {
		ns, rest, ok := strings.Cut(a.Where, "/")
		service, port, has := strings.Cut(rest, ":")
		if !ok || !has || ns == "" || service == "" || port == "" {
			return nil, "", fmt.Errorf(
				"prometheus %q: want a URL or NAMESPACE/SERVICE:PORT; try monitoring/prometheus:9090",
				a.Where,
			)
		}
		if a.HTTP != nil {
			return nil, "", fmt.Errorf(
				"prometheus %s: the API server does not forward credentials; pass the URL of Prometheus to use --prometheus-config",
				a.Where,
			)
		}
		return proxied{c, "/api/v1/namespaces/" + ns + "/services/" + service + ":" + port + "/proxy"}, a.Where, nil
	}
	base, err := url.Parse(a.Where)
	if err != nil {
		return nil, "", fmt.Errorf("prometheus: %w", err)
	}
	config := promconfig.DefaultHTTPClientConfig
	if a.HTTP != nil {
		config = *a.HTTP
	}
	transport, err := promconfig.NewRoundTripperFromConfig(config, "prometheus")
	if err != nil {
		return nil, "", fmt.Errorf("prometheus %s: %w", base.Redacted(), err)
	}
	client, err := api.NewClient(api.Config{Address: a.Where, RoundTripper: bounded{transport, promAnswerLimit}})
	if err != nil {
		return nil, "", fmt.Errorf("prometheus %s: %w", base.Redacted(), err)
	}
	return client, base.Redacted(), nil
}

// bounded fails if an answer is longer than limit bytes, instead of reading it into memory
// or truncating it.
type bounded struct {
	http.RoundTripper
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{res.Body, b.limit, b.limit}
	return res, nil
}

type boundedBody struct {
	io.ReadCloser
	left, limit int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf(
			"the response is larger than %d MB; aggregate the query, for example sum by (pod) (…)",
			b.limit>>20,
		)
	}
	return n, err
}

// proxied reads a Service through the API server, with GET only, so the right to get
// services/proxy is enough.
type proxied struct {
	cluster *kube.Cluster
	base    string
}

// URL implements api.Client.
func (p proxied) URL(endpoint string, args map[string]string) *url.URL {
	for name, value := range args {
		endpoint = strings.ReplaceAll(endpoint, ":"+name, value)
	}
	return &url.URL{Path: p.base + endpoint}
}

// Do implements api.Client. The client sends a form first; its fields become the
// query of a GET.
func (p proxied) Do(ctx context.Context, r *http.Request) (*http.Response, []byte, error) {
	if err := r.ParseForm(); err != nil {
		return nil, nil, err
	}
	body, err := p.cluster.Raw(ctx, r.URL.Path, r.Form)
	if err != nil {
		return nil, nil, kube.Explain(err, "run --prometheus")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}, body, nil
}
