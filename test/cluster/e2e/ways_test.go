//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// ways are autoscalers of one workload: on CPU, on a metric of its pods, and by KEDA.
var ways = []struct {
	pair
	advice string // the file that tune writes
}{
	{pair{name: "cpu", a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70)}, "hpa.yaml"},
	{pair{name: "pods-metric", inFlight: true,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(inFlightMetric, "600m")}, "hpa.yaml"},
	{pair{name: "scaledobject", keda: true,
		a: "minReplicaCount: 1, maxReplicaCount: 6, " + fmt.Sprintf(ratioTrigger, "0.15")}, "scaledobject.yaml"},
}

const waysLoad = `
stages:
  - {name: warm-up, rate: 6/s, duration: 20s, warmup: true}
  - {name: high, rate: 24/s, duration: 80s}
  - {name: low, rate: 6/s, duration: 80s}
  - {name: high again, rate: 24/s, duration: 80s}
  - {name: low again, rate: 6/s, duration: 60s}
`

// TestOneSeedThreeWays does the whole job for the same requests under three autoscalers: record,
// tune, apply the advice as it was written, record under it, and verify. The error of a prediction
// is not judged, only printed (with -v). A recording may by chance be refused as evidence: then it
// is made once more.
func TestOneSeedThreeWays(t *testing.T) {
	s := needKEDA(t)
	tokens := 0
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			ns, dir := s.namespace(t), filepath.Join(t.TempDir(), way.name)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			defer keep(t, dir)
			way.payload = tinyllm("chat")
			st := s.stand(t, ns, way.pair)
			if tokens == 0 {
				tokens, _ = s.servedAnswer(t, st.w, requestCPU)
			}
			load := profileWith(t, dir, "load", tokens, waysLoad+objectives)
			s.apply(t, ns, st.manifest(way.a))
			s.waitCurrentMetrics(t, ns, st.hpa)
			record := func(out string, more ...string) {
				t.Helper()
				s.settled(t, ns, st.hpa)
				r := s.hpatune(t, dir, append([]string{"run", "--hpa", ns + "/" + st.hpa, "--url", st.address, "-p", load,
					"--controller", s.controller(), "--out", out, "--yes"}, more...)...)
				t.Logf("%s: exit code %d\n%s", out, r.code, r.stdout)
				if r.code != 0 && r.code != 3 { // 3: an objective is missed, which is what tune is for
					t.Fatalf("hpatune run: exit code %d\n%s", r.code, r.stderr)
				}
			}
			var advice string
			for _, out := range []string{"recorded", "recorded-again"} {
				record(out)
				r := s.hpatune(t, dir, "tune", out)
				t.Logf("tune %s: exit code %d\n%s", out, r.code, r.stdout)
				if advice = filepath.Join(out, "advice"); r.code == 0 {
					break
				}
				if r.code != 4 || out == "recorded-again" {
					t.Fatalf("hpatune tune: exit code %d\n%s", r.code, r.stderr)
				}
			}
			record("applied", "--apply", "-f", filepath.Join(advice, way.advice))
			r := s.hpatune(t, dir, "verify", advice, "applied")
			t.Logf("verify: exit code %d\n%s", r.code, r.stdout)
			if r.code != 0 {
				t.Errorf("hpatune verify: exit code %d, want 0\n%s", r.code, r.stderr)
			}
			if err := says(r.stdout, "replica hours", "attainment"); err != nil {
				t.Error(err)
			}
		})
	}
}
