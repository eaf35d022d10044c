package loadgen

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hpatune/hpatune/internal/secrets"
)

// headers are those of every request. Secret ones come from a file that is reread when it
// changes (a token that expires during the run is replaced), and are never shown.
type headers struct {
	host  string
	plain http.Header // of the profile
	file  string      // "" = none

	// Of the request line; see address.
	method, uri, urlHost string
	fresh                bool

	mu      sync.Mutex
	head    []byte      // request line and headers as a wire writes them; nil = to be made
	all     http.Header // plain and secret ones; replaced, never written to
	secrets []string    // values to be kept out of texts
	stat    string      // size and time of the file as read
	checked time.Time
}

// newHeaders gathers the headers of the profile, those given as secrets, and
// those of the file ("Name: value", one a line; # begins a comment).
func newHeaders(plain map[string]string, secret http.Header, file string) (*headers, error) {
	h := &headers{plain: http.Header{"User-Agent": {"hpatune"}}, file: file}
	for k, v := range plain {
		h.plain[textproto.CanonicalMIMEHeaderKey(k)] = []string{v}
		if !secrets.HarmlessHeader(k) { // a server may quote it in an error
			h.hide([]string{v})
		}
	}
	for k, vs := range secret {
		h.plain[textproto.CanonicalMIMEHeaderKey(k)] = slices.Clone(vs)
		h.hide(vs)
	}
	if v := h.plain.Get("Host"); v != "" {
		h.host = v
		h.plain.Del("Host")
	}
	h.all = h.plain
	if file == "" {
		return h, nil
	}
	return h, h.read()
}

// hide registers values that must not appear in any text, and their words, since a server
// may quote only the token.
func (h *headers) hide(values []string) {
	for _, v := range values {
		for _, w := range append(strings.Fields(v), v) {
			if len(w) >= 6 && !slices.Contains(h.secrets, w) {
				h.secrets = append(h.secrets, w)
			}
		}
	}
}

// read reads the file. The caller holds mu, or is alone.
func (h *headers) read() error {
	st, err := os.Stat(h.file)
	if err != nil {
		return fmt.Errorf("header file: %w", err)
	}
	stat := fmt.Sprint(st.Size(), st.ModTime().UnixNano())
	if stat == h.stat {
		return nil
	}
	text, err := os.ReadFile(h.file)
	if err != nil {
		return fmt.Errorf("header file: %w", err)
	}
	all := maps.Clone(h.plain)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name, value = strings.TrimSpace(name), strings.TrimSpace(value); !ok || name == "" {
			// The line itself is not shown: it may be a bare token.
			return fmt.Errorf("header file %s:%d: no header; try \"Authorization: Bearer …\"", h.file, n)
		}
		all[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
		h.hide([]string{value})
	}
	h.all, h.stat, h.head = all, stat, nil
	return lines.Err()
}

// address says what the request line is made of, before the first request.
func (h *headers) address(method string, u *url.URL, fresh bool) {
	h.method, h.uri, h.urlHost, h.fresh = method, u.RequestURI(), u.Host, fresh
}

// refresh reads the file again if it has changed. The caller holds mu.
func (h *headers) refresh() {
	if h.file == "" {
		return
	}
	if now := time.Now(); now.Sub(h.checked) > time.Second {
		h.checked = now
		// A file that is being replaced may be missing for a moment. The old headers then
		// stay, and an expired one shows up as 401 in the results.
		_ = h.read()
	}
}

// forRequest returns the headers for one request, a map of its own.
func (h *headers) forRequest() http.Header {
	h.mu.Lock()
	h.refresh()
	all := h.all
	h.mu.Unlock()
	c := make(http.Header, len(all)+3)
	maps.Copy(c, all)
	return c
}

// forWire returns the request line and all headers but those that differ from
// request to request; not to be written to.
func (h *headers) forWire() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refresh()
	if h.head != nil {
		return h.head
	}
	var b bytes.Buffer
	line := strings.NewReplacer("\r", " ", "\n", " ")
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", h.method, h.uri, line.Replace(cmp.Or(h.host, h.urlHost)))
	for _, k := range slices.Sorted(maps.Keys(h.all)) {
		switch k {
		case "Content-Length", "Transfer-Encoding", "Connection", ArrivalHeader:
			continue // the wire's own business
		}
		for _, v := range h.all[k] {
			fmt.Fprintf(&b, "%s: %s\r\n", line.Replace(k), line.Replace(v))
		}
	}
	if h.fresh {
		b.WriteString("Connection: close\r\n")
	}
	h.head = b.Bytes()
	return h.head
}

// redact removes secret values from a text, since servers quote keys in errors.
func (h *headers) redact(text string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}
