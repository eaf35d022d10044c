package manifest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/tuner/hpa"
)

var update = flag.Bool("update", false, "write the golden files")

var deployment = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d"}

// drop removes the dead policies from a config, as V2 does.
func drop(c *hpa.Config) {
	d := DeadPolicies(c)
	c.ScaleUp.Policies, c.ScaleDown.Policies = slices.Clone(c.ScaleUp.Policies), slices.Clone(c.ScaleDown.Policies)
	for i := len(d) - 1; i >= 0; i-- {
		if d[i].Up {
			c.ScaleUp.Policies = slices.Delete(c.ScaleUp.Policies, d[i].Index, d[i].Index+1)
		} else {
			c.ScaleDown.Policies = slices.Delete(c.ScaleDown.Policies, d[i].Index, d[i].Index+1)
		}
	}
}

func TestWritten(t *testing.T) {
	c, _, err := Decode([]byte(Handwritten))
	if err != nil {
		t.Fatal(err)
	}
	every := hpa.Config{MinReplicas: 0, MaxReplicas: 40, Behavior: true,
		Metrics: []hpa.Metric{
			{Source: hpa.ContainerResource, Name: "memory", Container: "app", Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 3 << 29 * 1000}},
			{Source: hpa.Pods, Name: "running", Selector: "app=web,tier in (a,b),!old", SelectorSet: true, Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 12_500}},
			{Source: hpa.Object, Name: "hits", Object: hpa.ObjectRef{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Name: "main"}, Target: hpa.Target{Type: hpa.Value, ValueMilli: 100_000}},
			{Source: hpa.External, Name: "queue", SelectorSet: true, Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 500}},
		},
		ScaleUp:   hpa.Rules{Window: 30 * time.Second, WindowSet: true, Select: hpa.Min, Policies: []hpa.Policy{{Type: hpa.PodsPolicy, Value: 4, Period: 15 * time.Second}, {Type: hpa.PercentPolicy, Value: 50, Period: time.Minute}}},
		ScaleDown: hpa.Rules{Select: hpa.Disabled, Tolerance: 0.05, ToleranceSet: true, Policies: []hpa.Policy{{Type: hpa.PercentPolicy, Value: 10, Period: time.Minute}}},
	}
	for _, g := range []struct {
		name  string
		c     hpa.Config
		meta  Meta
		notes []Note
	}{
		{"recommended", c, Meta{Namespace: "ml-serving", Name: "inference-endpoint", Labels: map[string]string{"team": "ml", "on": "yes"}, Target: deployment}, []Note{
			{"", "Recommended by hpatune.\nValid for: profile spike, peak 20/s."},
			{"spec.minReplicas", "1 → 2: time to capacity falls from 95 s to 40 s."},
			{"spec.metrics[cpu].target.averageUtilization", "At 70 % a pod still has room for the 45 seconds that a new one takes to become ready; at 80 % the requests of the peak wait for longer than the objective allows."},
			{"spec.behavior.scaleUp.policies", "100 % in 30 s doubles at every second reconcile."},
		}},
		{"every-field", every, Meta{Name: "x", Annotations: map[string]string{"note": "a: b\n#c"}, Target: deployment}, nil},
		{"no-behavior", hpa.DefaultConfig(3), Meta{Name: "x", Target: deployment}, []Note{{"spec.behavior", "No behavior: the controller's own limits hold."}}},
	} {
		t.Run(g.name, func(t *testing.T) {
			got := V2(&g.c, g.meta, g.notes)
			file := "testdata/" + g.name + ".golden.yaml"
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("V2 differs from %s (go test ./tuner/manifest -update):\n%s", file, got)
			}
			readBack(t, got, &g.c)
			for i, l := range strings.Split(string(got), "\n") {
				if len([]rune(l)) > 101 {
					t.Errorf("line %d is %d long", i+1, len(l))
				}
			}
		})
	}
}

// readBack reads what was written with two strict readers: hpatune's own, and Kubernetes'
// types through sigs.k8s.io/yaml.
func readBack(t *testing.T, b []byte, c *hpa.Config) {
	t.Helper()
	var h autoscalingv2.HorizontalPodAutoscaler
	if err := yaml.UnmarshalStrict(b, &h); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	theirs, err := FromV2(&h.Spec)
	if err != nil {
		t.Fatal(err)
	}
	docs, problems := Parse("written", b)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, b)
	}
	ours, _, err := docs[0].Config()
	if err != nil {
		t.Fatal(err)
	}
	want := c.Clone()
	drop(&want)
	if !want.Equal(&ours) || !want.Equal(&theirs) {
		t.Errorf("wrote %+v\nours   %+v\ntheirs %+v\n%s", want, ours, theirs, b)
	}
}

func randomConfig(r *rand.Rand) hpa.Config {
	c := hpa.Config{MinReplicas: int32(1 + r.IntN(5)), Behavior: r.IntN(4) > 0}
	c.MaxReplicas = c.MinReplicas + int32(r.IntN(60))
	for range 1 + r.IntN(3) {
		m := hpa.Metric{Source: hpa.Source(r.IntN(5)), Name: []string{"cpu", "memory"}[r.IntN(2)], Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 1 + r.Int64N(1<<40)}}
		switch m.Source {
		case hpa.Resource, hpa.ContainerResource:
			if r.IntN(2) == 0 {
				m.Target = hpa.Target{Type: hpa.Utilization, Utilization: int32(1 + r.IntN(150))}
			}
			if m.Source == hpa.ContainerResource {
				m.Container = "app"
			}
		case hpa.Object:
			m.Object = hpa.ObjectRef{APIVersion: "v1", Kind: "Service", Name: "s"}
			if r.IntN(2) == 0 {
				m.Target = hpa.Target{Type: hpa.Value, ValueMilli: 1 + r.Int64N(1<<40)}
			}
			fallthrough
		default:
			if m.SelectorSet = r.IntN(2) == 0; m.SelectorSet {
				m.Selector = []string{"", "a=b", "a=b,c=d", "a in (b,c),d", "!e"}[r.IntN(5)]
			}
		}
		c.Metrics = append(c.Metrics, m)
	}
	rules := func() hpa.Rules {
		x := hpa.Rules{Select: hpa.Select(r.IntN(3))}
		if x.WindowSet = r.IntN(3) > 0; x.WindowSet {
			x.Window = time.Duration(r.IntN(3601)) * time.Second
		}
		if x.ToleranceSet = r.IntN(3) == 0; x.ToleranceSet {
			q := resource.MustParse(fmt.Sprintf("%dm", r.IntN(500)))
			x.Tolerance = q.AsApproximateFloat64()
		}
		for range 1 + r.IntN(3) {
			x.Policies = append(x.Policies, hpa.Policy{Type: hpa.PolicyType(r.IntN(2)), Value: int32(1 + r.IntN(120)), Period: []time.Duration{15 * time.Second, 30 * time.Second, time.Minute}[r.IntN(3)]})
		}
		return x
	}
	if c.Behavior {
		c.ScaleUp, c.ScaleDown = rules(), rules()
		c.ScaleUp.WindowSet = true // the API server fills an absent one
	}
	return c
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		c := randomConfig(r)
		spec := ToV2(&c, deployment)
		back, err := FromV2(&spec)
		if err != nil || !back.Equal(&c) {
			t.Fatalf("%v: %+v became %+v", err, c, back)
		}
		readBack(t, V2(&c, Meta{Name: "x", Target: deployment}, nil), &c)
		b, err := SpecJSON(&c, deployment)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err = Decode(fmt.Appendf(nil, `{"spec": %s}`, b))
		if err != nil || !back.Equal(&c) {
			t.Fatalf("JSON, %v: %+v became %+v", err, c, back)
		}
	}
}

// TestDeadPoliciesChangeNothing removes dead policies from random behaviors and compares every
// limit of one period, by HPA.md 10: from every size between min and max, and with any number
// of replicas already added in that period.
func TestDeadPoliciesChangeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	found := 0
	for range 3000 {
		c := randomConfig(r)
		if !c.Behavior {
			continue
		}
		found += len(DeadPolicies(&c))
		d := c.Clone()
		drop(&d)
		for _, up := range []bool{true, false} {
			a, b := c.ScaleDown, d.ScaleDown
			if up {
				a, b = c.ScaleUp, d.ScaleUp
			}
			if len(b.Policies) == 0 {
				t.Fatalf("no policy is left of %v", a.Policies)
			}
			if a.Select == hpa.Disabled {
				continue
			}
			for range 40 {
				// The size at the start of each period: any size, but one per period.
				starts := map[time.Duration]int32{}
				for _, p := range a.Policies {
					starts[p.Period] = c.MinReplicas + r.Int32N(c.MaxReplicas-c.MinReplicas+1)
				}
				if x, y := allowed(a, starts, &c, up), allowed(b, starts, &c, up); x != y {
					t.Fatalf("%v %v, periods begun at %v, from %d to %d: %d with the dead policies, %d without (%v)", a.Select, a.Policies, starts, c.MinReplicas, c.MaxReplicas, x, y, b.Policies)
				}
			}
		}
	}
	if found < 300 {
		t.Errorf("only %d dead policies met: the test tests nothing", found)
	}
}

func allowed(r hpa.Rules, starts map[time.Duration]int32, c *hpa.Config, up bool) int32 {
	var out []int32
	for _, p := range r.Policies {
		n := starts[p.Period]
		switch {
		case up && p.Type == hpa.PodsPolicy:
			n += p.Value
		case up:
			n = (n*(100+p.Value) + 99) / 100
			if f := float64(starts[p.Period]) * (1 + float64(p.Value)/100); float64(n) < f {
				n++ // the controller's float64 is a bit above the whole number (HPA.md 21)
			}
		case p.Type == hpa.PodsPolicy:
			n -= p.Value
		default:
			n = int32(float64(n) * (1 - float64(p.Value)/100))
		}
		out = append(out, max(c.MinReplicas, min(c.MaxReplicas, n)))
	}
	if up == (r.Select == hpa.Max) {
		return slices.Max(out)
	}
	return slices.Min(out)
}

func TestDeadPolicies(t *testing.T) {
	c, _, err := Decode([]byte(Handwritten))
	if err != nil {
		t.Fatal(err)
	}
	d := DeadPolicies(&c)
	if len(d) != 1 || d[0].Path != "spec.behavior.scaleUp.policies[1]" || d[0].Why != "2 pods/30s never allows more than 100 %/30s, from 2 to 10 replicas" {
		t.Errorf("the handwritten config's dead policies: %+v", d)
	}
	c.MinReplicas = 1
	if d := DeadPolicies(&c); len(d) != 0 {
		t.Errorf("from 1 replica two pods are more than 100 %%, but %+v", d)
	}
	c.ScaleUp.Policies[1].Period = time.Minute
	c.MinReplicas = 2
	if d := DeadPolicies(&c); len(d) != 0 {
		t.Errorf("policies of different periods count different events, but %+v", d)
	}
	c.ScaleUp.Policies[1].Value = 8
	if d := DeadPolicies(&c); len(d) != 1 || d[0].Index != 0 || d[0].Why != "8 pods/60s always allows the whole change, from 2 to 10 replicas" {
		t.Errorf("8 pods reach from 2 to 10, but %+v", d)
	}
}

func TestDiff(t *testing.T) {
	a, _, err := Decode([]byte(Handwritten))
	if err != nil {
		t.Fatal(err)
	}
	b := a.Clone()
	b.MinReplicas, b.MaxReplicas = 3, 10
	b.Metrics = b.Metrics[:1]
	b.ScaleDown.Window = time.Minute
	want := "spec.minReplicas: 2 → 3\nspec.behavior.scaleDown.stabilizationWindowSeconds: 300s → 60s\nspec.metrics[memory].target.averageUtilization: 80 → —\n"
	if got := Diff(&a, &b); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := Diff(&a, &a); got != "" {
		t.Errorf("no change is %q", got)
	}
}

func TestDefaultsAgree(t *testing.T) {
	for _, s := range []string{"{maxReplicas: 3}", "{maxReplicas: 3, behavior: {}}", "{maxReplicas: 3, behavior: {scaleUp: {policies: []}}}", "{maxReplicas: 3, behavior: {scaleDown: {tolerance: 0.2, selectPolicy: Min}}}"} {
		var spec autoscalingv2.HorizontalPodAutoscalerSpec
		if err := yaml.Unmarshal([]byte(s), &spec); err != nil {
			t.Fatal(err)
		}
		before, err := FromV2(&spec)
		if err != nil {
			t.Fatal(err)
		}
		Default(&spec)
		after, err := FromV2(&spec)
		if err != nil || !before.Equal(&after) {
			t.Errorf("%s: the core's defaults %+v, the API's %+v, %v", s, before, after, err)
		}
	}
}
