package observer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/results"
)

func TestParsePage(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{":8000/metrics", ":8000/metrics"},
		{":8000", ":8000/metrics"},
		{"8000", ":8000/metrics"},
		{"/prometheus", "/prometheus"},
		{"https://:8443/metrics", "https://:8443/metrics"},
		{":8000/metrics?name%5B%5D=a", ":8000/metrics?name%5B%5D=a"},
		{"", "error: no port and no path"},
		{":0/metrics", "error: port 0: want 1 to 65535"},
		{":70000", "error: port 70000: want 1 to 65535"},
		{":http/metrics", "error: invalid port"},
		{"10.0.0.1:9090/metrics", "error: every pod is scraped, so leave out the host 10.0.0.1; try :9090/metrics"},
		{"http://prometheus/metrics", "error: every pod is scraped, so leave out the host prometheus; try :8000/metrics"},
		{"grpc://:8000/metrics", `error: scheme "grpc"; want http or https`},
		{"http://user:secret@:8000/metrics", "error: a password cannot be sent"},
	} {
		got, err := ParsePage(tt.text)
		text := got.String()
		if err != nil {
			text = "error: " + err.Error()
		}
		if !strings.HasPrefix(text, tt.want) || strings.Contains(text, "secret") {
			t.Errorf("ParsePage(%q) = %s, want %s", tt.text, text, tt.want)
		}
	}
}

func TestProxiedPath(t *testing.T) {
	for _, tt := range []struct{ page, want string }{
		{":8000/metrics", "/api/v1/namespaces/ns/pods/p:8000/proxy/metrics"},
		{"/metrics", "/api/v1/namespaces/ns/pods/p/proxy/metrics"},
		{"https://:8443/m", "/api/v1/namespaces/ns/pods/https:p:8443/proxy/m"},
	} {
		page, err := ParsePage(tt.page)
		if got := page.proxied("ns", "p"); err != nil || got != tt.want {
			t.Errorf("%s is asked at %s (%v), want %s", tt.page, got, err, tt.want)
		}
	}
}

// onPage is a pod whose server answers so.
func onPage(t *testing.T, page Page, handler http.HandlerFunc) func(context.Context) ([]byte, error) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return Directly(s.Listener.Addr().String(), page)
}

func TestFirstLookAtPods(t *testing.T) {
	page := Page{Port: 8000, Path: "/metrics"}
	good := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "vllm:num_requests_running 1\nvllm:num_requests_waiting 0\nother 3\n")
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	address := closed.Listener.Addr().String()
	closed.Close()
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		names   []string
		want    string
	}{
		{"what is known is found", good, nil, "1 of 1 ready pods expose metrics at :8000/metrics (vLLM); 2 of them are recorded"},
		{"what is asked for, too", good, []string{"other"}, "1 of 1 ready pods expose metrics at :8000/metrics (vLLM); 3 of them are recorded"},
		{"what is on no page is named", good, []string{"mine"}, "1 of 1 ready pods expose metrics at :8000/metrics (vLLM); 2 of them are recorded; not found: mine"},
		{"an adapter's name is the same metric", good, []string{"vllm_num_requests_waiting"}, "1 of 1 ready pods expose metrics at :8000/metrics (vLLM); 2 of them are recorded"},
		{"metrics that nobody knows", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "x 1") }, nil,
			"1 of 1 ready pods expose metrics at :8000/metrics; 0 of them are recorded; choose others with --scrape-metric"},
		{"a path that is not there", http.NotFound, nil, "error: scrape: pod a: HTTP 404 at :8000/metrics; check the path"},
		{"a page of HTML", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") }, nil,
			`error: scrape: pod a: :8000/metrics is not a page of metrics: it begins with "<html>hello"; check the port and the path`},
		{"a page that wants a login", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, nil,
			"error: scrape: pod a: HTTP 401 at :8000/metrics: the page needs a login"},
		{"a server that fails", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", 500) }, nil,
			"error: scrape: pod a: :8000/metrics: 500 Internal Server Error: oops"},
		{"nothing listens", nil, nil, "error: scrape: pod a: nothing listens at :8000/metrics (connection refused); check the port"},
	} {
		get := Directly(address, page)
		if tt.handler != nil {
			get = onPage(t, page, tt.handler)
		}
		s, err := NewScrape(t.Context(), page, tt.names, func() []Scraped { return []Scraped{{"a", true, get}} })
		text := ""
		if err != nil {
			text = "error: " + err.Error()
		} else {
			text = s.Describe()
		}
		if !strings.HasPrefix(text, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
}

// rounds scrapes pods whose pages are given, one map a round 5 s after the last; a
// page that begins with ! is an error, and a pod without one is gone.
func rounds(t *testing.T, names []string, pages ...map[string]string) []results.Record {
	t.Helper()
	start := time.Unix(1_700_000_000, 0)
	var out []results.Record
	s := &Scrape{Clock: results.Clock{Start: start}, Page: Page{Port: 8000, Path: "/metrics"}, names: names}
	r := s.scraping(func(x results.Record) { out = append(out, x) })
	var at time.Duration
	for i, round := range pages {
		at = time.Duration(i) * 5 * time.Second
		var answers []answer
		for _, name := range []string{"a", "b", "c"} {
			text, ok := round[name]
			if !ok {
				continue
			}
			pod := Scraped{Name: name, Ready: !strings.HasPrefix(text, "!starting"), Get: func(context.Context) ([]byte, error) {
				if why, fails := strings.CutPrefix(text, "!"); fails {
					return nil, errors.New(why)
				}
				return []byte(text), nil
			}}
			a := s.askOne(t.Context(), pod)
			a.at = start.Add(at)
			answers = append(answers, a)
		}
		r.look(answers, at)
	}
	r.close(at + time.Second)
	return out
}

// spoken is records as lines.
func spoken(records []results.Record) []string {
	var out []string
	for _, r := range records {
		switch r := r.(type) {
		case results.Sample:
			out = append(out, fmt.Sprintf("%v %s %s=%.4g", r.At, r.Pod, r.Name, r.Value))
		case results.Gap:
			out = append(out, fmt.Sprintf("gap %s %v–%v: %s", r.Source, r.From, r.To, r.Why))
		case results.Warning:
			out = append(out, fmt.Sprintf("warning at %v: %s", r.At, r.Text))
		}
	}
	return out
}

func TestScrape(t *testing.T) {
	queue := func(v string) string { return "vllm:num_requests_waiting " + v + "\n" }
	for _, tt := range []struct {
		name   string
		names  []string
		rounds []map[string]string
		want   []string
	}{
		{"each pod's value, and the sum of its series", nil,
			[]map[string]string{{"a": "vllm:num_requests_waiting{engine=\"0\"} 2\nvllm:num_requests_waiting{engine=\"1\"} 3\n", "b": queue("1")}},
			[]string{"0s a vllm:num_requests_waiting=5", `0s a vllm:num_requests_waiting{engine="0"}=2`,
				`0s a vllm:num_requests_waiting{engine="1"}=3`, "0s b vllm:num_requests_waiting=1"}},
		{"its series by their labels, again only when there are more of them", nil,
			[]map[string]string{{"a": "vllm:num_requests_waiting{m=\"x\",e=\"0\"} 2\n"},
				{"a": "vllm:num_requests_waiting{m=\"x\",e=\"0\"} 2\n"},
				{"a": "vllm:num_requests_waiting{m=\"x\",e=\"0\"} 2\nvllm:num_requests_waiting{m=\"y\",e=\"0\"} 1\n"}},
			[]string{"0s a vllm:num_requests_waiting=2", `0s a vllm:num_requests_waiting{e="0",m="x"}=2`,
				"5s a vllm:num_requests_waiting=2", "10s a vllm:num_requests_waiting=3",
				`10s a vllm:num_requests_waiting{e="0",m="x"}=2`, `10s a vllm:num_requests_waiting{e="0",m="y"}=1`}},
		{"a share is the fullest engine's", nil,
			[]map[string]string{{"a": "vllm:kv_cache_usage_perc{engine=\"0\"} 0.2\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.7\n"}},
			[]string{"0s a vllm:kv_cache_usage_perc=0.7", `0s a vllm:kv_cache_usage_perc{engine="0"}=0.2`,
				`0s a vllm:kv_cache_usage_perc{engine="1"}=0.7`}},
		{"a pod that stops answering is said once, and its silence is a gap, not a zero", nil,
			[]map[string]string{{"a": queue("4"), "b": queue("1")}, {"a": "!connection refused", "b": queue("1")}, {"a": "!connection refused", "b": queue("1")}, {"a": queue("2"), "b": queue("1")}},
			[]string{"0s a vllm:num_requests_waiting=4", "0s b vllm:num_requests_waiting=1",
				"warning at 5s: scrape: pod a: nothing listens at :8000/metrics (connection refused); check the port; retrying",
				"5s b vllm:num_requests_waiting=1", "10s b vllm:num_requests_waiting=1",
				"gap scrape a 0s–15s: nothing listens at :8000/metrics (connection refused); check the port",
				"15s a vllm:num_requests_waiting=2", "15s b vllm:num_requests_waiting=1"}},
		{"two pods with one fault are one warning and a gap each", nil,
			[]map[string]string{{"a": queue("4"), "b": queue("1")}, {"a": "!connection refused", "b": "!connection refused"}},
			[]string{"0s a vllm:num_requests_waiting=4", "0s b vllm:num_requests_waiting=1",
				"warning at 5s: scrape: pod a: nothing listens at :8000/metrics (connection refused); check the port; retrying",
				"gap scrape a 0s–6s: nothing listens at :8000/metrics (connection refused); check the port",
				"gap scrape b 0s–6s: nothing listens at :8000/metrics (connection refused); check the port"}},
		{"a pod that starts may be silent", nil,
			[]map[string]string{{"a": queue("4")}, {"a": queue("4"), "b": "!starting: connection refused"}, {"a": queue("4"), "b": queue("0")}},
			[]string{"0s a vllm:num_requests_waiting=4", "5s a vllm:num_requests_waiting=4", "10s a vllm:num_requests_waiting=4", "10s b vllm:num_requests_waiting=0"}},
		{"a pod that goes is no gap", nil,
			[]map[string]string{{"a": queue("4"), "b": queue("1")}, {"a": queue("4")}},
			[]string{"0s a vllm:num_requests_waiting=4", "0s b vllm:num_requests_waiting=1", "5s a vllm:num_requests_waiting=4"}},
		{"a metric that turns to NaN is named with the stretch", nil,
			[]map[string]string{{"a": queue("4")}, {"a": queue("NaN")}, {"a": queue("NaN")}, {"a": queue("3")}},
			[]string{"0s a vllm:num_requests_waiting=4",
				"warning at 5s: scrape: vllm:num_requests_waiting of pod a is now NaN; it is recorded as a gap until it is back",
				"15s a vllm:num_requests_waiting=3",
				"gap scrape vllm:num_requests_waiting 0s–15s: of pod a is now NaN"}},
		{"a metric that is gone from the page, too", []string{"mine"},
			[]map[string]string{{"a": "mine 1\n"}, {"a": "other 1\n"}},
			[]string{"0s a mine=1", "warning at 5s: scrape: mine of pod a is no longer on its page; it is recorded as a gap until it is back",
				"gap scrape mine 0s–6s: of pod a is no longer on its page"}},
		{"a metric that was NaN from the start is no news", nil, []map[string]string{{"a": queue("NaN")}}, nil},
	} {
		if got := spoken(rounds(t, tt.names, tt.rounds...)); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

// histogramPage is a TTFT histogram that has seen n requests of half a second and m
// of 3 s.
func histogramPage(n, m int) string {
	const name = "vllm:time_to_first_token_seconds"
	return fmt.Sprintf("# TYPE %[1]s histogram\n%[1]s_bucket{le=\"1\"} %[2]d\n%[1]s_bucket{le=\"4\"} %[3]d\n%[1]s_bucket{le=\"+Inf\"} %[3]d\n%[1]s_sum %[4]g\n%[1]s_count %[3]d\n",
		name, n, n+m, 0.5*float64(n)+3*float64(m))
}

func TestScrapedHistogram(t *testing.T) {
	var pages []map[string]string
	for i := range 14 { // one a round, and from the tenth on three slow ones
		pages = append(pages, map[string]string{"a": histogramPage(10+i, 3*max(0, i-9))})
	}
	pages = append(pages, map[string]string{"a": histogramPage(2, 0)}) // it began anew
	got := spoken(rounds(t, nil, pages...))
	want := []string{
		`0s a vllm:time_to_first_token_seconds_bucket{le="1"}=10`, `0s a vllm:time_to_first_token_seconds_bucket{le="4"}=10`, `0s a vllm:time_to_first_token_seconds_bucket{le="+Inf"}=10`,
		`30s a vllm:time_to_first_token_seconds_bucket{le="1"}=16`, `30s a vllm:time_to_first_token_seconds_bucket{le="4"}=16`, `30s a vllm:time_to_first_token_seconds_bucket{le="+Inf"}=16`,
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("not recorded: %s in\n%s", w, strings.Join(got, "\n"))
		}
	}
	for _, w := range []string{
		"1m0s a vllm:time_to_first_token_seconds:mean1m=1.571",      // 12 of 0.5 s and 9 of 3 s
		`1m5s a vllm:time_to_first_token_seconds_bucket{le="1"}=23`, // the last before the new start
		`1m10s a vllm:time_to_first_token_seconds_bucket{le="1"}=2`,
	} {
		if !slices.Contains(got, w) {
			t.Errorf("not recorded: %s in\n%s", w, strings.Join(got, "\n"))
		}
	}
	if slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "1m10s a vllm:time_to_first_token_seconds:mean1m") }) {
		t.Errorf("a mean across a new start: %s", strings.Join(got, "\n"))
	}
}

func TestExplainsTheProxy(t *testing.T) {
	page := Page{Port: 9999, Path: "/metrics"}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&kube.HTTPError{Path: "/api/v1/x", Code: 404, Status: "404 Not Found", Body: "404 page not found"}, "HTTP 404 at :9999/metrics"},
		{&kube.HTTPError{Path: "/api/v1/x", Code: 400, Status: "400 Bad Request", Body: "Client sent an HTTP request to an HTTPS server."}, "try --scrape https://:9999/metrics"},
		{errors.New("error trying to reach service: dial tcp 10.0.0.7:9999: connect: connection refused"), "nothing listens at :9999/metrics"},
		{errors.New("error trying to reach service: dial tcp 10.0.0.7:9999: i/o timeout"), "no answer from :9999/metrics within 3s"},
		{context.DeadlineExceeded, "no answer from :9999/metrics within 3s"},
	} {
		if got := page.explain(tt.err).Error(); !strings.Contains(got, tt.want) || strings.Contains(got, "10.0.0.7") {
			t.Errorf("explain(%v) = %s, want %s", tt.err, got, tt.want)
		}
	}
}
