//go:build linux

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestScrapeReadsThePodsThroughTheAPIServer runs without a Prometheus, and without a network path
// from hpatune to the pods: the API server's proxy reads each pod's /metrics. What the servers
// counted is what the client counted.
func TestScrapeReadsThePodsThroughTheAPIServer(t *testing.T) {
	s := needOurs(t)
	ns, dir := s.namespace(t), t.TempDir()
	defer keep(t, dir)
	w := s.deploy(t, ns, tinyllm("chat"))
	s.cpuHPA(t, w, 1, 2, 90)
	load := profile(t, dir, "short", `
stages: [{name: hold, rate: 4/s, duration: 15s}]
`)
	run := filepath.Join(dir, "run")
	args := []string{"run", "--hpa", ns + "/" + w.name, "--url", w.url, "-p", load, "--controller", s.controller(), "--yes", "--out", run}
	nothing := s.hpatune(t, dir, append(args, "--scrape", ":8000/nothing")...)
	if nothing.code == 0 || !strings.Contains(nothing.stderr, "404") {
		t.Errorf("a page that is not there: exit code %d, want a refusal before the load\n%s", nothing.code, nothing.stderr)
	}
	r := s.hpatune(t, dir, append(args, "--scrape", ":8000/metrics")...)
	if r.code != 0 || !strings.Contains(r.stderr, "1 of 1 ready pods expose metrics at :8000/metrics (vLLM)") {
		t.Fatalf("hpatune run --scrape: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	r = s.hpatune(t, dir, "report", run, "-o", "json")
	var got struct {
		Load    struct{ OK int }
		Servers []struct {
			Metric, Source, Of string
			N                  float64
		}
		Gaps []struct{ Source, Why string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatalf("hpatune report -o json: %v\n%s%.400s", err, r.stderr, r.stdout)
	}
	of := map[string]float64{}
	for _, x := range got.Servers {
		if x.Source == "scrape" {
			of[x.Of] = x.N
		}
	}
	// The last answers come behind the last reading, and readings of buckets are half a minute apart.
	for _, name := range []string{"ttft", "e2e", "queue"} {
		if n := of[name]; n < 1 || n > float64(got.Load.OK) {
			t.Errorf("%s: the servers counted %v requests, the client %d; %+v", name, n, got.Load.OK, got.Servers)
		}
	}
	for _, g := range got.Gaps {
		if strings.Contains(g.Source, "scrape") {
			t.Errorf("a gap of the scrape: %+v", g)
		}
	}
	say(t, "the servers counted %v of %d answers", of, got.Load.OK)
}
