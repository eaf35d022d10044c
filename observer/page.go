package observer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hpatune/hpatune/internal/exposition"
	"github.com/hpatune/hpatune/internal/kube"
)

// Page is where each pod tells its metrics.
type Page struct {
	Secure bool   // https
	Port   int    // 0 = the first that the pod names
	Path   string // begins with a slash
	Query  url.Values
}

// ParsePage reads [SCHEME://]:PORT/PATH. Without a path it is /metrics, without a
// port the first that the pod names.
func ParsePage(text string) (Page, error) {
	full := strings.TrimSpace(text)
	if full == "" {
		return Page{}, errors.New("no port and no path; try :8000/metrics")
	}
	if _, err := strconv.Atoi(strings.TrimSuffix(full, "/")); err == nil { // 8000
		full = ":" + full
	}
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return Page{}, fmt.Errorf("%w; try :8000/metrics", err)
	}
	p := Page{Secure: u.Scheme == "https", Path: u.Path, Query: u.Query()}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return Page{}, fmt.Errorf("scheme %q; want http or https, as in https://:8443/metrics", u.Scheme)
	case u.User != nil:
		return Page{}, errors.New(
			"a password cannot be sent through the API server; use --prometheus for pages that need one",
		)
	case u.Hostname() != "":
		return Page{}, fmt.Errorf("every pod is scraped, so leave out the host %s; try :%s%s", u.Hostname(),
			orElse(u.Port(), "8000"), orElse(u.Path, "/metrics"))
	}
	if port := u.Port(); port != "" {
		if p.Port, err = strconv.Atoi(port); err != nil || p.Port < 1 || p.Port > 65535 {
			return Page{}, fmt.Errorf("port %s: want 1 to 65535", port)
		}
	}
	if p.Path == "" {
		p.Path = "/metrics"
	}
	return p, nil
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// String is the page as --scrape takes it.
func (p Page) String() string {
	out := p.Path
	if p.Port > 0 {
		out = ":" + strconv.Itoa(p.Port) + p.Path
	}
	if p.Secure {
		out = "https://" + out
	}
	if len(p.Query) > 0 {
		out += "?" + p.Query.Encode()
	}
	return out
}

// proxied is the page's path at the API server, which reads the pod for us.
func (p Page) proxied(namespace, pod string) string {
	if p.Port > 0 {
		pod += ":" + strconv.Itoa(p.Port)
		if p.Secure {
			pod = "https:" + pod
		}
	} else if p.Secure {
		pod = "https:" + pod + ":"
	}
	return "/api/v1/namespaces/" + namespace + "/pods/" + pod + "/proxy" + p.Path
}

// explain says in one sentence why a pod returned no metrics, and what to try.
func (p Page) explain(err error) error {
	err = kube.Explain(err, "run --scrape")
	var forbidden *kube.Forbidden
	if errors.As(err, &forbidden) {
		return err
	}
	text := err.Error()
	var status apierrors.APIStatus
	code := 0
	if errors.As(err, &status) {
		code = int(status.Status().Code)
		text = status.Status().Message
	}
	var behind *kube.HTTPError
	if errors.As(err, &behind) {
		code, text = behind.Code, behind.Status+": "+behind.Body
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() ||
		strings.Contains(text, "i/o timeout") || code == http.StatusGatewayTimeout:
		return fmt.Errorf("no answer from %s within %v; check the port, and network policies", p, scrapeWithin)
	case strings.Contains(text, "connection refused"):
		return fmt.Errorf("nothing listens at %s (connection refused); check the port", p)
	case strings.Contains(text, "HTTPS server") || strings.Contains(text, "malformed HTTP response"):
		return fmt.Errorf("%s speaks TLS; try --scrape https://:%d%s", p, p.Port, p.Path)
	case code == http.StatusNotFound:
		return fmt.Errorf("HTTP 404 at %s; check the path, and whether the server exposes metrics there", p)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("HTTP %d at %s: the page needs a login, which cannot be sent to pods; use --prometheus", code, p)
	case errors.Is(err, exposition.ErrNoMetrics):
		return fmt.Errorf("%s is %w; check the port and the path", p, err)
	}
	return fmt.Errorf("%s: %.200s", p, strings.Join(strings.Fields(text), " "))
}
