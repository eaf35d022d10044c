package countproxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func counts(t *testing.T, at string) (c Counts) {
	t.Helper()
	res, err := http.Get(at + CountsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// until reads the counts until they equal want.
func until(t *testing.T, at string, ok func(Counts) bool) Counts {
	t.Helper()
	for range 1000 {
		if c := counts(t, at); ok(c) {
			return c
		}
	}
	t.Fatalf("the counts stay %+v", counts(t, at))
	return Counts{}
}

// free returns an address at which nothing listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestARequestIsHeldUntilSomethingAnswers(t *testing.T) {
	addr := free(t)
	proxy := httptest.NewServer(New(&url.URL{Scheme: "http", Host: addr}, time.Minute))
	defer proxy.Close()
	answer := make(chan string)
	go func() {
		res, err := http.Post(proxy.URL+"/v1/completions", "text/plain", strings.NewReader("hello"))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answer <- string(b)
	}()
	if c := until(t, proxy.URL, func(c Counts) bool { return c.Held == 1 }); c.Pending != 1 || c.Arrivals != 1 || c.Refused != 0 {
		t.Errorf("while nothing answers: %+v, want one pending and held", c)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.URL.Path+" "+string(b))
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	if got := <-answer; got != "/v1/completions hello" {
		t.Errorf("the held request got %q", got)
	}
	if c := until(t, proxy.URL, func(c Counts) bool { return c.Pending == 0 }); c.Held != 0 || c.Arrivals != 1 {
		t.Errorf("afterwards: %+v, want nothing pending", c)
	}
	res, err := http.Get(proxy.URL + MetricsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); !strings.Contains(string(b), "\ncountproxy_requests_total 1\n") {
		t.Errorf("metrics:\n%s", b)
	}
}

func TestARequestIsRefusedInTheEnd(t *testing.T) {
	proxy := httptest.NewServer(New(&url.URL{Scheme: "http", Host: free(t)}, 10*time.Millisecond))
	defer proxy.Close()
	res, err := http.Get(proxy.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if c := counts(t, proxy.URL); res.StatusCode != http.StatusServiceUnavailable || c.Refused != 1 || c.Pending != 0 {
		t.Errorf("status %d, %+v; want 503 and one refused", res.StatusCode, c)
	}
}

func TestARequestIsNotPendingOnceItsClientHasGone(t *testing.T) {
	proxy := httptest.NewServer(New(&url.URL{Scheme: "http", Host: free(t)}, time.Minute))
	defer proxy.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, proxy.URL+"/v1/completions", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error)
	go func() {
		_, err := http.DefaultClient.Do(r)
		gone <- err
	}()
	until(t, proxy.URL, func(c Counts) bool { return c.Held == 1 && c.Pending == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	until(t, proxy.URL, func(c Counts) bool { return c.Held == 0 && c.Pending == 0 })
}
