//go:build linux

package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// api is the small Kubernetes client that starting a cluster needs; tests use
// client-go.
type api struct{ http *http.Client }

func newAPI(s state) (api, error) {
	cert, err := tls.LoadX509KeyPair(s.pki("admin.crt"), s.pki("admin.key"))
	if err != nil {
		return api{}, err
	}
	ca, err := os.ReadFile(s.pki("ca.crt"))
	if err != nil {
		return api{}, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return api{&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}}}}, nil
}

// do sends body (YAML; nil for none) and returns the answer, or an error for
// any status but 2xx.
func (a api) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, apiURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/yaml")
	}
	res, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, bytes.TrimSpace(b))
	}
	return b, err
}

// collections holds the paths at which objects of the kinds in config/ are
// created; %s is the namespace.
var collections = map[string]string{
	"rbac.authorization.k8s.io/v1 ClusterRole":         "/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding":  "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"rbac.authorization.k8s.io/v1 RoleBinding":         "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
	"rbac.authorization.k8s.io/v1 Role":                "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
	"v1 Namespace":                                     "/api/v1/namespaces",
	"v1 ServiceAccount":                                "/api/v1/namespaces/%s/serviceaccounts",
	"v1 Service":                                       "/api/v1/namespaces/%s/services",
	"discovery.k8s.io/v1 EndpointSlice":                "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices",
	"apiregistration.k8s.io/v1 APIService":             "/apis/apiregistration.k8s.io/v1/apiservices",
	"apiextensions.k8s.io/v1 CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}

// create creates every object of a manifest. The cluster is new, so none of
// them exists yet.
func (a api) create(ctx context.Context, manifest []byte) error {
	for doc := range strings.SplitSeq("\n"+string(manifest), "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue // before the first separator
		}
		var o struct {
			APIVersion, Kind string
			Metadata         struct{ Namespace string }
		}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return err
		}
		path, ok := collections[o.APIVersion+" "+o.Kind]
		if !ok {
			return fmt.Errorf("%s %s: no collection known for it", o.APIVersion, o.Kind)
		}
		if strings.Contains(path, "%s") {
			path = fmt.Sprintf(path, o.Metadata.Namespace)
		}
		if _, err := a.do(ctx, http.MethodPost, path, []byte(doc)); err != nil {
			return err
		}
	}
	return nil
}
