package observer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hpatune/hpatune/internal/kube"
)

// ScrapedNow are a subject's pods at the time of the look, whose pages are read through the
// API server's proxy.
func ScrapedNow(c *kube.Cluster, s *kube.Subject, page Page) []Scraped {
	var out []Scraped
	for i := range s.Pods {
		if p := &s.Pods[i]; p.Status.Phase == corev1.PodRunning {
			out = append(
				out,
				Scraped{p.Name, kube.Ready(p) && p.DeletionTimestamp == nil, proxiedPage(c, s.Namespace, p.Name, page)},
			)
		}
	}
	return out
}

// Scraped are the running pods, by name, whose pages are read through the API server's
// proxy.
func (k *Kube) Scraped(page Page) []Scraped {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Scraped
	for _, p := range k.pods {
		if p.state.Phase == string(corev1.PodRunning) {
			ready := p.ready && !p.state.Deleted
			out = append(out, Scraped{p.name, ready, proxiedPage(k.cluster, k.subject.Namespace, p.name, page)})
		}
	}
	slices.SortFunc(out, func(a, b Scraped) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func proxiedPage(c *kube.Cluster, namespace, pod string, page Page) func(context.Context) ([]byte, error) {
	path := page.proxied(namespace, pod)
	return func(ctx context.Context) ([]byte, error) { return c.Raw(ctx, path, page.Query) }
}

// Directly is a pod's page at an address of this machine, HOST:PORT.
func Directly(address string, page Page) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+page.Path+"?"+page.Query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer r.Body.Close()
		body, err := io.ReadAll(io.LimitReader(r.Body, pageMost+1))
		if err == nil && r.StatusCode != http.StatusOK {
			return nil, &kube.HTTPError{Path: page.Path, Code: r.StatusCode, Status: r.Status, Body: string(body)}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", page.Path, err)
		}
		return body, nil
	}
}
