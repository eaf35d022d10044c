//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pair is a prediction to be held against the real cluster: what is recorded
// under a predicts what happens under b. Both are the HPA's spec after its
// target, in YAML's flow style.
type pair struct {
	name, text string
	payload    payload
	load       string // the profile
	a, b       string
}

const cpuMetric = "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: %d}}}]"

// The loads are below 40 requests/s of requestCPU each: the machine runs the cluster
// and the load generator as well.
var pairs = []pair{
	{
		name: "step", text: "a step up and down; one more replica from the start and a lower target",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 4/s, duration: 25s, warmup: true}
  - {name: high, rate: 24/s, duration: 65s}
  - {name: low, rate: 4/s, duration: 70s}
objectives: ["ttft.p95 < 400ms", "error_rate < 1%"]
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50),
	},
	{
		name: "climb", text: "a ramp, a plateau and a fall; a lower target, slower up, a longer window down",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 4/s, duration: 25s, warmup: true}
  - {name: climb, ramp: {from: 4/s, to: 30/s}, duration: 60s}
  - {name: hold, rate: 30/s, duration: 25s}
  - {name: fall, rate: 4/s, duration: 60s}
objectives: ["ttft.p95 < 400ms", "error_rate < 1%"]
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50) + ", behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 15}]}, scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Percent, value: 100, periodSeconds: 15}]}}",
	},
	{
		name: "waves", text: "a sine of 80 s; more replicas at a higher target, a short window down",
		payload: tinyllm("chat"),
		load: `
stages:
  - {name: warm-up, rate: 14/s, duration: 30s, warmup: true}
  - {name: waves, sine: {mean: 14/s, amplitude: 10/s, period: 80s}, duration: 160s}
objectives: ["ttft.p95 < 400ms", "error_rate < 1%"]
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 60),
		b: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 85) + ", behavior: {scaleDown: {stabilizationWindowSeconds: 10, policies: [{type: Pods, value: 1, periodSeconds: 15}]}}",
	},
	{
		name: "cold", text: "a step at a server that takes a quarter of a minute to load; two replicas and a lower target",
		payload: tinyllm("chat", "-load-delay=8s", "-load-cpu=1s"),
		load: `
stages:
  - {name: warm-up, rate: 4/s, duration: 20s, warmup: true}
  - {name: high, rate: 20/s, duration: 55s}
  - {name: low, rate: 4/s, duration: 60s}
objectives: ["ttft.p95 < 400ms", "error_rate < 1%"]
`,
		a: "minReplicas: 1, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 70),
		b: "minReplicas: 2, maxReplicas: 6, " + fmt.Sprintf(cpuMetric, 50),
	},
}

// verified is `hpatune verify -o json`, as far as the table has it.
type verified struct {
	Figures []struct {
		Name, Unit string
		Predicted  *struct{ Value, Lo, Hi *float64 }
		Actual     *float64
		Error      *float64
	}
}

// TestPredictedAgainstActual records under A twice, predicts B before B is run,
// runs B, and prints for each pair what was predicted beside what happened, and
// how far two runs of one and the same A are apart. It judges no figure: how
// far the model is off is what the table is for. It does judge the shadow: over
// all profiles and runs every rescale of the real controller is reproduced, or
// its difference is listed.
//
// $HPATUNE_PAIRS names a file for the table, and with -run …/NAME one pair runs.
func TestPredictedAgainstActual(t *testing.T) {
	s := needFull(t)
	var table strings.Builder
	t.Cleanup(func() {
		if to := os.Getenv("HPATUNE_PAIRS"); to != "" && table.Len() > 0 {
			if err := os.WriteFile(to, []byte(table.String()), 0o644); err != nil {
				t.Error(err)
			}
		}
		t.Logf("\n%s", table.String())
	})
	fmt.Fprintf(&table, "| pair | figure | predicted (90 %%) | actual | error | A once | A again | difference |\n|---|---|---|---|---|---|---|---|\n")
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) { s.runPair(t, p, &table) })
	}
}

func (s *suite) runPair(t *testing.T, p pair, table *strings.Builder) {
	ns, dir := s.namespace(t), t.TempDir()
	defer keep(t, dir)
	w := s.deploy(t, ns, p.payload)
	write := func(name, spec string) string {
		path := filepath.Join(dir, name)
		text := fmt.Sprintf("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: %[1]s}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}, %[2]s}\n", w.name, spec)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := write("a.yaml", p.a), write("b.yaml", p.b)
	load := profile(t, dir, p.name, p.load)
	text, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, ns, string(text))
	s.waitCurrentMetrics(t, ns, w.name)

	record := func(out string, more ...string) {
		t.Helper()
		s.settled(t, w)
		r := s.hpatune(t, dir, append([]string{"run", "--hpa", ns + "/" + w.name, "--url", w.url, "-p", load, "--controller", s.controller(), "--out", out, "--yes"}, more...)...)
		t.Logf("%s: exit code %d\n%s", out, r.code, r.stdout)
		if r.code != 0 {
			t.Fatalf("hpatune run %s: exit code %d\n%s", out, r.code, r.stderr)
		}
	}
	advice := map[string]string{} // a run's, by its name
	shadow := func(run string) {
		t.Helper()
		x, r, out := s.adviceOn(t, filepath.Join(dir, run))
		advice[run] = out
		sh := x.Shadow
		if sh == nil {
			t.Errorf("%s: no shadow: %+v %s", run, x.Refusal, r.stderr)
			return
		}
		say(t, "%s: advice %s, self-replay %s (%d of %d), shadow rescales %+v quiet %+v unseen %d", run, x.Verdict, x.SelfReplay.Verdict, x.SelfReplay.RescalesMatched, x.SelfReplay.Rescales, sh.Rescales, sh.Quiet, sh.Unseen)
		if sh.Rescales.Differ > 0 || sh.Rescales.Agree == 0 || 10*sh.Unknown > sh.Agree+sh.Differ+sh.Unknown {
			t.Errorf("%s: shadow %+v, want every rescale reproduced and at most a tenth unknown: %v", run, *sh, x.Warnings)
		}
	}
	record("a1")
	shadow("a1")
	record("a2")
	shadow("a2")
	// Predicted before B has run.
	if r := s.hpatune(t, dir, "replay", "a1", "-f", b); r.code != 0 {
		t.Errorf("hpatune replay: exit code %d\n%s", r.code, r.stderr)
	} else {
		t.Logf("predicted for B:\n%s", r.stdout)
	}
	record("b", "--apply", "-f", b)
	shadow("b")

	verify := func(run, config string) verified {
		t.Helper()
		r := s.hpatune(t, dir, "verify", advice["a1"], run, "-f", config, "-o", "json")
		var v verified
		if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
			t.Fatalf("hpatune verify %s: exit code %d, %v: %s%s", run, r.code, err, r.stdout, r.stderr)
		}
		return v
	}
	once, again, got := verify("a1", a), verify("a2", a), verify("b", b)
	number := func(v *float64) string {
		if v == nil {
			return "—"
		}
		return fmt.Sprintf("%.4g", *v)
	}
	for i, f := range got.Figures {
		switch f.Name {
		case "replica_hours", "attainment", "ttft_p95_s", "e2e_p95_s", "time_to_capacity_s", "peak_replicas":
		default:
			continue
		}
		relative := f.Unit == "h" || f.Unit == "s"
		off := func(v *float64) string {
			switch {
			case v == nil:
				return "—"
			case relative:
				return fmt.Sprintf("%+.1f %%", 100**v)
			case f.Unit == "ratio":
				return fmt.Sprintf("%+.2f pt", 100**v)
			}
			return fmt.Sprintf("%+.2g", *v)
		}
		predicted := "—"
		if x := f.Predicted; x != nil {
			predicted = number(x.Value)
			if x.Lo != nil && x.Hi != nil {
				predicted += fmt.Sprintf(" (%.4g–%.4g)", *x.Lo, *x.Hi)
			}
		}
		one, two := once.Figures[i].Actual, again.Figures[i].Actual
		var apart *float64
		if one != nil && two != nil {
			d := *two - *one
			if relative && *one != 0 {
				d /= *one
			}
			apart = &d
		}
		fmt.Fprintf(table, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", p.name, strings.TrimSuffix(strings.ReplaceAll(f.Name, "_", " "), " s"), predicted, number(f.Actual), off(f.Error), number(one), number(two), off(apart))
	}
}

// settled waits until an HPA is at its least size and has nothing left in its
// windows, so that runs begin alike.
func (s *suite) settled(t *testing.T, w workload) {
	t.Helper()
	clocks := s.c.Clocks()
	var since time.Time
	eventually(t, s.patience(4*time.Minute), "HPA "+w.name+" is at its minimum", func(ctx context.Context) error {
		h, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if h.Status.CurrentReplicas != *h.Spec.MinReplicas || h.Status.DesiredReplicas != *h.Spec.MinReplicas {
			since = time.Time{}
			return fmt.Errorf("%d replicas, wants %d, the minimum is %d", h.Status.CurrentReplicas, h.Status.DesiredReplicas, *h.Spec.MinReplicas)
		}
		if since.IsZero() {
			since = time.Now()
		}
		if wait := clocks.HPADownStable + clocks.MetricResolution - time.Since(since); wait > 0 {
			return fmt.Errorf("for %v more", wait.Round(time.Second))
		}
		return nil
	})
}
