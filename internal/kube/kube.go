// Package kube accesses the cluster. It makes clients from a kubeconfig, finds what
// an HPA scales and who owns it, and names the permission that is missing. It is the
// only package that changes a cluster, and it saves the original first.
package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Options select a cluster, as kubectl's flags of the same names do.
type Options struct {
	Kubeconfig string // file; "" = $KUBECONFIG, ~/.kube/config, or the pod's own service account
	Context    string // "" = the kubeconfig's current one
	Namespace  string // "" = the context's, else default
	// Dial opens the connections to the API server; nil = the usual.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Cluster is a cluster that responds, with the clients for it.
type Cluster struct {
	Context   string // name of the context; "" = in a pod
	Namespace string // where commands look that name none
	Version   string // of the API server: v1.37.2
	Config    *rest.Config
	Clients   kubernetes.Interface
	Dynamic   dynamic.Interface
	Mapper    meta.RESTMapper
	// Ahead is how far the cluster's clock is ahead of ours, according to the Date of its
	// answers: exact to about half a second, and 0 if it is less than that.
	Ahead time.Duration

	http *http.Client
}

// qps is the total request rate of a run at an API server: seven watches and a few polls
// need less than five per second; the rest is for start and restore.
const qps, burst = 20, 40

// Connect reads the kubeconfig and requests the API server's version.
func Connect(ctx context.Context, o Options) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	overrides.Context.Namespace = o.Namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w; try: kubectl config get-contexts, then --context NAME", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	raw, _ := loader.RawConfig() // in a pod there is none
	config.QPS, config.Burst = qps, burst
	config.UserAgent = "hpatune"
	if o.Dial != nil {
		config.Dial = o.Dial
	}
	c, err := New(config)
	if err != nil {
		return nil, err
	}
	c.Namespace, c.Context = namespace, cmp.Or(o.Context, raw.CurrentContext)
	if err := c.ask(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// New makes the clients of a cluster without contacting it.
func New(config *rest.Config) (*Cluster, error) {
	h, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	clients, err := kubernetes.NewForConfigAndClient(config, h)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	dyn, err := dynamic.NewForConfigAndClient(config, h)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return &Cluster{
		Namespace: "default", Config: config, Clients: clients, Dynamic: dyn, http: h,
		Mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(clients.Discovery())),
	}, nil
}

// ask learns the version and the clock.
func (c *Cluster) ask(ctx context.Context) error {
	var lo, hi time.Duration = -1 << 62, 1 << 62
	// An answer's Date is cut to whole seconds: each bounds the difference of
	// the clocks by a second and the time on the way.
	for range 3 {
		sent := time.Now()
		r, err := c.get(ctx, "/version", nil)
		if err != nil {
			var at *url.Error // the host is named already
			if errors.As(err, &at) {
				err = at.Err
			}
			return fmt.Errorf(
				"cluster %s: %w\nTry: kubectl cluster-info, and --context NAME for another cluster",
				c.Config.Host,
				err,
			)
		}
		got := time.Now()
		var v struct{ GitVersion string }
		err = json.NewDecoder(r.Body).Decode(&v)
		r.Body.Close()
		if err != nil {
			return fmt.Errorf("cluster %s: /version is not an API server's answer: %w", c.Config.Host, err)
		}
		c.Version = v.GitVersion
		if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			lo, hi = max(lo, at.Sub(got)), min(hi, at.Add(time.Second).Sub(sent))
		}
	}
	if lo <= hi && (lo > 0 || hi < 0) { // no difference is not among the possible ones
		c.Ahead = (lo + hi) / 2
	}
	return nil
}

// Time converts a time of the cluster's clock to ours.
func (c *Cluster) Time(t time.Time) time.Time { return t.Add(-c.Ahead) }

// get is a GET of a path of the API server that has no typed client. The
// caller closes the body of a good answer.
func (c *Cluster) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	base, _, err := rest.DefaultServerUrlFor(c.Config)
	if err != nil {
		return nil, err
	}
	u := base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if r.StatusCode/100 == 2 {
		return r, nil
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	status := apierrors.StatusError{}
	if json.Unmarshal(body, &status.ErrStatus) == nil && status.ErrStatus.Kind == "Status" {
		return nil, &status
	}
	return nil, &HTTPError{path, r.StatusCode, r.Status, strings.TrimSpace(string(body))}
}

// HTTPError is an answer other than 2xx that is none of the API server's own: of
// what stands behind one of its proxies.
type HTTPError struct {
	Path   string
	Code   int
	Status string // with the code
	Body   string
}

// Error has the path, the status and the beginning of the body.
func (e *HTTPError) Error() string { return fmt.Sprintf("%s: %s: %.200s", e.Path, e.Status, e.Body) }

// Raw returns the body of a GET of a path of the API server, at most 32 MB: the
// metrics APIs, and whatever stands behind its proxies. A refusal is an
// apierrors.StatusError.
func (c *Cluster) Raw(ctx context.Context, path string, query url.Values) ([]byte, error) {
	r, err := c.get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	const limit = 32 << 20
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil && len(body) > limit {
		err = errors.New("the answer is longer than 32 MB")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return body, nil
}
