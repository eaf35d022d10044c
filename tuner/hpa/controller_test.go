package hpa

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Normalization, one step each: 4 pods whose desired size is bounded by recommendations in
// memory and by windows.
func TestOneStepWithMemory(t *testing.T) {
	plain := func(f func(*Config)) Config {
		c := DefaultConfig(20)
		c.Metrics[0].Target.Utilization, c.MinReplicas = 100, 2
		f(&c)
		return c
	}
	behavior := func(f func(*Config)) Config {
		return plain(func(c *Config) { c.EnsureBehavior(); f(c) })
	}
	recs := func(n int32, age time.Duration) Memory {
		return Memory{Recommendations: []Recommendation{{At: time.Hour - age, Replicas: n}}}
	}
	none, s := func(*Config) {}, time.Second
	up := func(w time.Duration) func(*Config) { return func(c *Config) { c.ScaleUp.Window = w } }
	for _, c := range []struct {
		name    string
		spec    Config
		current int32
		milli   int64 // load of each of current pods, of 100
		m       Memory
		want    string // replicas, stable, limit, policy; AbleToScale before the rescale is not kept, ScalingLimited; reason
	}{
		{"on target", plain(none), 4, 100, Memory{}, "4 stable 4 limit 8 by -1 up; ReadyForNewScale DesiredWithinRange False; "},
		{"at exactly the double it is not limited", plain(none), 4, 200, Memory{}, "8 stable 8 limit 8 by -1 up; SucceededRescale DesiredWithinRange False; cpu resource utilization (percentage of request) above target"},
		{"beyond the double it is", plain(none), 4, 201, Memory{}, "8 stable 9 limit 8 by -1 up; SucceededRescale ScaleUpLimit True; cpu resource utilization (percentage of request) above target"},
		{"maxReplicas that is the double is told as maxReplicas", plain(func(c *Config) { c.MaxReplicas = 8 }), 4, 300, Memory{}, "8 stable 12 limit 8 by -1 up; SucceededRescale TooManyReplicas True; cpu resource utilization (percentage of request) above target"},
		{"to minReplicas exactly", plain(none), 4, 50, recs(2, time.Hour), "2 stable 2 limit 8 by -1 up; SucceededRescale DesiredWithinRange False; All metrics below target"},
		{"below minReplicas", plain(none), 4, 10, recs(2, time.Hour), "2 stable 1 limit 8 by -1 up; SucceededRescale TooFewReplicas True; All metrics below target"},
		{"an old one at the edge of five minutes holds", plain(none), 4, 50, recs(4, 300*s), "4 stable 4 limit 8 by -1 up; ScaleDownStabilized DesiredWithinRange False; All metrics below target"},
		{"one past it does not", plain(none), 4, 50, recs(4, 301*s), "2 stable 2 limit 8 by -1 up; SucceededRescale DesiredWithinRange False; All metrics below target"},
		{"an old higher one lifts, without a reason", plain(none), 4, 100, recs(6, s), "6 stable 6 limit 8 by -1 up; SucceededRescale DesiredWithinRange False; "},
		{"a restarted controller takes the present size for recommended", plain(none), 4, 50, Memory{}, "4 stable 4 limit 8 by -1 up; ScaleDownStabilized DesiredWithinRange False; All metrics below target"},

		{"behavior, on target", behavior(none), 4, 100, Memory{}, "4 stable 4 limit -2147483648 by -1; ReadyForNewScale DesiredWithinRange False; "},
		{"behavior, the double by pods and percent alike", behavior(none), 4, 300, recs(4, time.Hour), "8 stable 12 limit 8 by 0 up; SucceededRescale ScaleUpLimit True; cpu resource utilization (percentage of request) above target"},
		{"behavior, to the limit exactly", behavior(none), 4, 200, recs(4, time.Hour), "8 stable 8 limit 8 by 0 up; SucceededRescale DesiredWithinRange False; cpu resource utilization (percentage of request) above target"},
		{"behavior, maxReplicas that is the limit", behavior(func(c *Config) { c.MaxReplicas = 8 }), 4, 300, recs(4, time.Hour), "8 stable 12 limit 8 by 0 up; SucceededRescale TooManyReplicas True; cpu resource utilization (percentage of request) above target"},
		{"behavior, scale-up disabled", behavior(func(c *Config) { c.ScaleUp.Select = Disabled }), 4, 300, recs(4, time.Hour), "4 stable 12 limit 4 by -1 up; ReadyForNewScale ScaleUpLimit True; cpu resource utilization (percentage of request) above target"},
		{"behavior, no scale-up window: a moment ago counts for nothing", behavior(none), 4, 200, recs(4, 1), "8 stable 8 limit 8 by 0 up; SucceededRescale DesiredWithinRange False; cpu resource utilization (percentage of request) above target"},
		{"behavior, no scale-up window set", behavior(func(c *Config) { c.ScaleUp.WindowSet = false; c.ScaleUp.Window = time.Hour }), 4, 200, recs(4, 1), "8 stable 8 limit 8 by 0 up; SucceededRescale DesiredWithinRange False; cpu resource utilization (percentage of request) above target"},
		{"behavior, a scale-up window holds", behavior(up(60 * s)), 4, 200, recs(4, 59*s), "4 stable 4 limit -2147483648 by -1; ScaleUpStabilized DesiredWithinRange False; cpu resource utilization (percentage of request) above target"},
		{"behavior, but not at its edge", behavior(up(60 * s)), 4, 200, recs(4, 60*s), "8 stable 8 limit 8 by 0 up; SucceededRescale DesiredWithinRange False; cpu resource utilization (percentage of request) above target"},
		{"behavior, the flag's window holds a decrease", behavior(none), 4, 50, recs(4, 299*s), "4 stable 4 limit -2147483648 by -1; ScaleDownStabilized DesiredWithinRange False; All metrics below target"},
		{"behavior, but not at its edge downward", behavior(none), 4, 50, recs(4, 300*s), "2 stable 2 limit 0 by 0; SucceededRescale DesiredWithinRange False; All metrics below target"},
		{"behavior, a lower old one lets it go half way", behavior(none), 6, 50, recs(5, 10*s), "5 stable 5 limit 0 by 0; SucceededRescale DesiredWithinRange False; All metrics below target"},
		{"behavior, on target a higher old one does not lift", behavior(none), 4, 100, recs(6, 10*s), "4 stable 4 limit -2147483648 by -1; ReadyForNewScale DesiredWithinRange False; "},
		{"behavior, below minReplicas", behavior(none), 4, 10, recs(4, time.Hour), "2 stable 1 limit 0 by 0; SucceededRescale TooFewReplicas True; All metrics below target"},
		{"behavior, to minReplicas exactly", behavior(none), 4, 50, recs(4, time.Hour), "2 stable 2 limit 0 by 0; SucceededRescale DesiredWithinRange False; All metrics below target"},
		{"behavior, a policy of one pod", behavior(func(c *Config) { c.ScaleDown.Policies = []Policy{{PodsPolicy, 1, 60 * s}} }), 4, 50, recs(4, time.Hour), "3 stable 2 limit 3 by 0; SucceededRescale ScaleDownLimit True; All metrics below target"},
		{"behavior, a policy that leaves minReplicas is told as minReplicas", behavior(func(c *Config) { c.ScaleDown.Policies = []Policy{{PodsPolicy, 2, 60 * s}} }), 4, 10, recs(4, time.Hour), "2 stable 1 limit 2 by 0; SucceededRescale TooFewReplicas True; All metrics below target"},
		{"behavior, a policy that leaves what is wanted limits nothing", behavior(func(c *Config) { c.ScaleDown.Policies = []Policy{{PodsPolicy, 1, 60 * s}} }), 4, 75, recs(4, time.Hour), "3 stable 3 limit 3 by 0; SucceededRescale DesiredWithinRange False; All metrics below target"},
		{"behavior, what went down within the period counts", behavior(func(c *Config) { c.ScaleDown.Policies = []Policy{{PodsPolicy, 2, 60 * s}} }), 6, 50, Memory{Recommendations: recs(4, time.Hour).Recommendations, ScaleDown: []ScaleEvent{{At: time.Hour - 59*s, Change: 1}}}, "5 stable 3 limit 5 by 0; SucceededRescale ScaleDownLimit True; All metrics below target"},
		{"behavior, more than the policy already went: stays", behavior(func(c *Config) { c.ScaleDown.Policies = []Policy{{PodsPolicy, 2, 60 * s}} }), 6, 50, Memory{Recommendations: recs(4, time.Hour).Recommendations, ScaleDown: []ScaleEvent{{At: time.Hour - 59*s, Change: 5}}}, "6 stable 3 limit 6 by 0; ReadyForNewScale ScaleDownLimit True; All metrics below target"},
		{"behavior, what went up within the period counts upward", behavior(func(c *Config) { c.ScaleUp.Policies = []Policy{{PodsPolicy, 3, 60 * s}} }), 4, 300, Memory{Recommendations: recs(4, time.Hour).Recommendations, ScaleUp: []ScaleEvent{{At: time.Hour - 59*s, Change: 1}}}, "6 stable 12 limit 6 by 0 up; SucceededRescale ScaleUpLimit True; cpu resource utilization (percentage of request) above target"},
		{"behavior, more than the policy already went up: stays", behavior(func(c *Config) { c.ScaleUp.Policies = []Policy{{PodsPolicy, 3, 60 * s}} }), 4, 300, Memory{Recommendations: recs(4, time.Hour).Recommendations, ScaleUp: []ScaleEvent{{At: time.Hour - 59*s, Change: 5}}}, "4 stable 12 limit 4 by 0 up; ReadyForNewScale ScaleUpLimit True; cpu resource utilization (percentage of request) above target"},
		{"above maxReplicas", plain(none), 21, 100, Memory{}, "20 stable 20 limit -2147483648 by -1; SucceededRescale  Unknown; Current number of replicas above Spec.MaxReplicas"},
		{"below minReplicas already", plain(none), 1, 100, Memory{}, "2 stable 2 limit -2147483648 by -1; SucceededRescale  Unknown; Current number of replicas below Spec.MinReplicas"},
	} {
		pods, r := podsAt(int(c.current), c.milli)
		for i := range r.Samples {
			r.Samples[i].At = time.Hour
		}
		d, k := oneStep(DefaultParams(), c.spec, Observation{At: time.Hour, SpecReplicas: c.current, StatusReplicas: c.current, Pods: pods, Metrics: []Reading{r}}, &c.m)
		var able, limited Condition
		for _, q := range d.Conditions {
			switch q.Type {
			case AbleToScale:
				able = q
			case ScalingLimited:
				limited = q
			}
		}
		got := fmt.Sprintf("%d stable %d limit %d by %d", d.Replicas, d.Stable, d.Limit, d.Policy)
		if d.Up {
			got += " up"
		}
		got += fmt.Sprintf("; %v %v %v; %v", able.Reason, limited.Reason, limited.Status, d.rescale.why())
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		m := k.Memory()
		if change := d.Replicas - d.From; c.spec.Behavior && d.Scaled && len(m.ScaleUp)+len(m.ScaleDown) != len(c.m.ScaleUp)+len(c.m.ScaleDown)+1 {
			t.Errorf("%s: events %v %v after %+d", c.name, m.ScaleUp, m.ScaleDown, change)
		} else if change > 0 && c.spec.Behavior && m.ScaleUp[len(m.ScaleUp)-1].Change != change || change < 0 && c.spec.Behavior && m.ScaleDown[len(m.ScaleDown)-1].Change != -change {
			t.Errorf("%s: events %v %v after %+d", c.name, m.ScaleUp, m.ScaleDown, change)
		}
		if m.CurrentReplicas != c.current || m.DesiredReplicas != d.Replicas {
			t.Errorf("%s: status %d of %d", c.name, m.CurrentReplicas, m.DesiredReplicas)
		}
	}
}

func TestFailingMetricsForbidScalingDownOnly(t *testing.T) {
	two := DefaultConfig(20)
	two.Metrics = append(two.Metrics, Metric{Source: Pods, Name: "rps", Target: Target{Type: AverageValue, AverageMilli: 100}})
	for _, c := range []struct {
		name       string
		cpu, rps   int64 // < 0: fails
		replicas   int32
		ok         bool
		best, says string
	}{
		{"both up: the larger", 160, 300, 8, true, "pods metric rps", "ValidMetricFound"},
		{"both up: the larger is the first", 240, 200, 8, true, "cpu resource utilization (percentage of request)", "ValidMetricFound"},
		{"of equals the first", 160, 200, 8, true, "cpu resource utilization (percentage of request)", "ValidMetricFound"},
		{"the first fails, the second wants more", -1, 300, 8, true, "pods metric rps", "ValidMetricFound"},
		{"the first fails, the second is on target", -1, 100, 4, true, "pods metric rps", "ValidMetricFound"},
		{"the first fails, the second wants less", -1, 30, 4, false, "pods metric rps", "FailedGetResourceMetric"},
		{"the second fails, the first wants less", 20, -1, 4, false, "cpu resource utilization (percentage of request)", "FailedGetPodsMetric"},
		{"both fail", -1, -1, 4, false, "", "FailedGetResourceMetric"},
	} {
		pods, r := podsAt(4, c.cpu)
		_, s := podsAt(4, c.rps)
		if c.cpu < 0 {
			r = Reading{}
		}
		if c.rps < 0 {
			s = Reading{}
		}
		d, _ := oneStep(DefaultParams(), two, Observation{SpecReplicas: 4, StatusReplicas: 4, Pods: pods, Metrics: []Reading{r, s}}, nil)
		best := ""
		if d.HasProposal {
			best = d.Proposal.Name()
		}
		var active Condition
		for _, q := range d.Conditions {
			if q.Type == ScalingActive {
				active = q
			}
		}
		if d.Replicas != c.replicas || (d.Path == ByMetrics) != c.ok || best != c.best || active.ReasonText() != c.says {
			t.Errorf("%s: %d on path %d by %q, %s; want %d, %v, %q, %s", c.name, d.Replicas, d.Path, best, active.ReasonText(), c.replicas, c.ok, c.best, c.says)
		}
	}
}

func TestConflictsTakeTime(t *testing.T) {
	spec := behaviorSpec(0)
	for _, c := range []struct {
		name      string
		release   int
		conflicts int
		fails     bool
		at        time.Duration
	}{
		{"none", 37, 0, false, 0},
		{"a negative number is none", 37, -3, false, 0},
		{"one", 37, 1, false, 10 * time.Millisecond},
		{"four", 37, 4, false, 40 * time.Millisecond},
		{"five", 37, 5, true, 40 * time.Millisecond},
		{"six", 37, 6, true, 40 * time.Millisecond},
		{"none before 1.34", 33, 0, false, 0},
		{"one before 1.34", 33, 1, true, 0},
	} {
		p := DefaultParams()
		p.Release = c.release
		k := New(p)
		k.spec = &spec
		var at time.Duration
		err := k.writeScale(&Observation{Conflicts: c.conflicts}, &at)
		if (err != nil) != c.fails || at != c.at {
			t.Errorf("%s: %v after %v, want a failure %v after %v", c.name, err, at, c.fails, c.at)
		}
	}
}

func TestMemoryIsWhatWasRemembered(t *testing.T) {
	conditions := func(ts ...ConditionType) (m Memory) {
		for _, t := range ts {
			m.Conditions = append(m.Conditions, StatusCondition{Type: t, Status: True, Reason: "R", Message: "M"})
		}
		return m
	}
	for _, c := range []struct {
		name string
		m    Memory
		err  string
	}{
		{"nothing", Memory{}, ""},
		{"all four conditions", conditions(ScaledToZero, AbleToScale, ScalingActive, ScalingLimited), ""},
		{"five conditions", conditions(AbleToScale, AbleToScale, AbleToScale, AbleToScale, AbleToScale), "conditions: 5 given, an HPA has at most 4"},
		{"one twice", conditions(AbleToScale, AbleToScale), `conditions: "AbleToScale" is unknown or given twice`},
		{"none", conditions(None), `conditions: "" is unknown or given twice`},
		{"an unknown one", conditions(ScaledToZero + 1), `conditions: "ScaledToZero" is unknown or given twice`},
		{"lists", Memory{Recommendations: []Recommendation{{1, 2}, {3, 4}}, ScaleUp: []ScaleEvent{{At: 5, Change: 6, Outdated: true}}, ScaleDown: []ScaleEvent{{At: 7, Change: 8}}, CurrentReplicas: 9, DesiredReplicas: 10}, ""},
	} {
		k := New(DefaultParams())
		err := k.Remember(c.m)
		if got := fmt.Sprint(err); err != nil && got != c.err || err == nil && c.err != "" {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		} else if err == nil && fmt.Sprint(k.Memory()) != fmt.Sprint(c.m) {
			t.Errorf("%s: remembers %v, want %v", c.name, k.Memory(), c.m)
		}
		if want := len(c.m.Recommendations) > 0; err == nil && k.remembers != want {
			t.Errorf("%s: has a list: %v", c.name, k.remembers)
		}
	}
	k := New(DefaultParams())
	if err := k.Remember(conditions(AbleToScale, ScaledToZero, ScalingActive)); err != nil {
		t.Fatal(err)
	}
	k.remove(ScaledToZero)
	if got := k.status.conditions; got[0].Type != AbleToScale || got[1].Type != ScalingActive || got[2].Type != None || got[3].Type != None {
		t.Errorf("after removing the second of three: %v", got)
	}
	if err := k.Remember(conditions(AbleToScale, ScalingActive, ScalingLimited, ScaledToZero)); err != nil {
		t.Fatal(err)
	}
	k.remove(AbleToScale)
	if got := k.status.conditions; got[2].Type != ScaledToZero || got[3].Type != None {
		t.Errorf("after removing the first of four: %v", got)
	}
}

func TestZeroAndBack(t *testing.T) {
	queue := func(minReplicas int32) Config {
		return Config{MinReplicas: minReplicas, MaxReplicas: 20, Metrics: []Metric{{Source: External, Name: "queue", Target: Target{Type: AverageValue, AverageMilli: 1000}}}}
	}
	with := func(c Config) Config { c.EnsureBehavior(); return c }
	inside := Config{MinReplicas: 0, MaxReplicas: 20, Metrics: DefaultMetrics()}
	for _, c := range []struct {
		name    string
		spec    Config
		current int32
		queue   int64
		byHPA   Status
		want    string // replicas; path; ScaledToZero; why
	}{
		{"to zero by an empty queue", queue(0), 1, 0, StatusUnknown, "0; 0; True ScaledToZero; All metrics below target"},
		{"to one", queue(0), 3, 1000, StatusUnknown, "1; 0; False NotScaledToZero; All metrics below target"},
		{"zero by the HPA is left", queue(0), 0, 3000, True, "3; 0; False NotScaledToZero; external metric queue(nil) above target"},
		{"zero by the HPA stays while the queue is empty", queue(0), 0, 0, True, "0; 0; True ; "},
		{"minReplicas was raised to 1 meanwhile", queue(1), 0, 0, True, "1; 0; False NotScaledToZero; "},
		{"the same with behavior, which has no bound where nothing moves", with(queue(1)), 0, 0, True, "1; 0; False NotScaledToZero; Current number of replicas below Spec.MinReplicas"},
		{"with behavior, minReplicas 5, the queue wants 3", with(queue(5)), 0, 3000, True, "5; 0; False NotScaledToZero; external metric queue(nil) above target"},
		{"with behavior, minReplicas 3, the queue wants 3", with(queue(3)), 0, 3000, True, "3; 0; False NotScaledToZero; external metric queue(nil) above target"},
		{"with behavior, minReplicas 0, the queue wants 1", with(queue(0)), 0, 1000, True, "1; 0; False NotScaledToZero; external metric queue(nil) above target"},
		{"minReplicas was raised to 5 meanwhile, the queue wants 3", queue(5), 0, 3000, True, "5; 0; False NotScaledToZero; external metric queue(nil) above target"},
		{"minReplicas was raised to 2 and the queue wants 2", queue(2), 0, 2000, True, "2; 0; False NotScaledToZero; external metric queue(nil) above target"},
		{"zero by hand stays", queue(0), 0, 3000, False, "0; 3; False ; "},
		{"inside metrics alone do not come back", inside, 0, 0, True, "0; 3; True ; "},
	} {
		m := Memory{Recommendations: []Recommendation{{At: -time.Hour}}}
		if c.byHPA != StatusUnknown {
			m.Conditions = []StatusCondition{{Type: AbleToScale, Status: True}, {Type: ScaledToZero, Status: c.byHPA}}
		}
		d, _ := oneStep(DefaultParams(), c.spec, Observation{SpecReplicas: c.current, StatusReplicas: c.current, Metrics: []Reading{{Series: []int64{c.queue}}}}, &m)
		zero := ""
		for _, q := range d.Conditions {
			if q.Type == ScaledToZero {
				zero = fmt.Sprint(q.Status, " ", q.ReasonText())
			}
		}
		if got := fmt.Sprintf("%d; %d; %s; %s", d.Replicas, d.Path, zero, d.rescale.why()); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// How each metric names itself and its errors, in upstream's words.
func TestWordsOfMetrics(t *testing.T) {
	ref := ObjectRef{Kind: "Ingress", Name: "main"}
	value, average := Target{Type: Value, ValueMilli: 1}, Target{Type: AverageValue, AverageMilli: 1}
	for _, c := range []struct {
		m      Metric
		name   string
		kind   TargetType
		code   FaultCode
		inner  string
		prefix string // of outer, before inner
	}{
		{Metric{Name: "cpu", Target: Target{Utilization: 1}}, "cpu resource utilization (percentage of request)", Utilization, FaultNoPods, "failed to get cpu utilization: no pods returned by selector while calculating replica count", "failed to get cpu resource metric value: "},
		{Metric{Name: "cpu", Target: average}, "cpu resource", AverageValue, FaultNoPods, "failed to get cpu usage: no pods returned by selector while calculating replica count", "failed to get cpu resource metric value: "},
		{Metric{Name: "cpu"}, "cpu resource utilization (percentage of request)", Utilization, FaultNoTarget, "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set", "failed to get cpu resource metric value: "},
		{Metric{Source: ContainerResource, Container: "app", Name: "cpu", Target: Target{Utilization: 1}}, "cpu container resource utilization (percentage of request)", Utilization, FaultNothingListed, "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API", "failed to get app container metric value: "},
		{Metric{Source: ContainerResource, Container: "app", Name: "cpu", Target: average}, "cpu resource", AverageValue, FaultNoSamples, "failed to get cpu usage: did not receive metrics for targeted pods (pods might be unready)", "failed to get app container metric value: "},
		{Metric{Source: Pods, Name: "rps", Target: average}, "pods metric rps", AverageValue, FaultNoPods, "no pods returned by selector while calculating replica count", "failed to get pods metric value: "},
		{Metric{Source: Pods, Name: "rps", Target: average, SelectorErr: "bad"}, "pods metric rps", AverageValue, FaultSelector, "bad", "failed to get pods metric value: "},
		{Metric{Source: Object, Name: "hits", Object: ref, Target: value}, "Ingress metric hits", Value, FaultNoPods, "unable to calculate ready pods: no pods returned by selector while calculating replica count", "failed to get object metric value: "},
		{Metric{Source: Object, Name: "hits", Object: ref, Target: average}, "external metric hits(nil)", AverageValue, FaultNothingListed, "unable to get metric hits on Ingress default/main: unable to fetch metrics from custom metrics API: the server could not find the metric hits for ingress main", "failed to get object metric value: failed to get hits object metric: "},
		{Metric{Source: Object, Name: "hits", Object: ref, Target: average, SelectorErr: "bad"}, "external metric hits(nil)", AverageValue, FaultSelector, "bad", "failed to get object metric value: "},
		{Metric{Source: Object, Name: "hits", Object: ref, Target: Target{Type: AverageValue}}, "external metric hits(nil)", AverageValue, FaultNoTarget, "invalid object metric source: neither a value target nor an average value target was set", "failed to get object metric value: "},
		{Metric{Source: Object, Name: "hits", Object: ref, Target: Target{Type: Value, AverageMilli: 1}}, "Ingress metric hits", Value, FaultNoTarget, "invalid object metric source: neither a value target nor an average value target was set", "failed to get object metric value: "},
		{Metric{Source: Object, Name: "hits", Object: ref, Target: Target{Type: Value, AverageMilli: 1, ValueMilli: 1}}, "Ingress metric hits", Value, FaultNoPods, "unable to calculate ready pods: no pods returned by selector while calculating replica count", "failed to get object metric value: "},
		{Metric{Source: External, Name: "queue", Target: average}, "external metric queue(nil)", AverageValue, FaultNothingListed, "unable to get external metric default/queue/nil: no metrics returned from external metrics API", "failed to get queue external metric value: failed to get queue external metric: "},
		{Metric{Source: External, Name: "queue", Target: value}, "external metric queue(nil)", Value, FaultNoPods, "unable to calculate ready pods: no pods returned by selector while calculating replica count", "failed to get queue external metric value: failed to get external metric queue: "},
		{Metric{Source: External, Name: "queue"}, "external metric queue(nil)", Value, FaultNoTarget, "invalid external metric source: neither a value target nor an average value target was set", "failed to get queue external metric value: "},
		{Metric{Source: External, Name: "queue", Target: value, SelectorErr: "bad"}, "external metric queue(nil)", Value, FaultSelector, "bad", "failed to get queue external metric value: failed to get external metric queue: "},
		{Metric{Source: External, Name: "queue", Target: average, SelectorErr: "bad"}, "external metric queue(nil)", AverageValue, FaultSelector, "bad", "failed to get queue external metric value: failed to get queue external metric: "},
	} {
		f := Fault{Code: c.code}
		if got := c.m.reasonName(); got != c.name {
			t.Errorf("%+v is called %q, want %q", c.m, got, c.name)
		}
		if got := c.m.statusKind(); got != c.kind {
			t.Errorf("%+v has status of kind %v, want %v", c.m, got, c.kind)
		}
		if got := c.m.inner(&f); got != c.inner {
			t.Errorf("%+v, inner\n got %s\nwant %s", c.m, got, c.inner)
		}
		if got := c.m.outer(&f); got != c.prefix+c.inner {
			t.Errorf("%+v, outer\n got %s\nwant %s", c.m, got, c.prefix+c.inner)
		}
		p := Proposal{Metric: &c.m, Fault: f}
		if got := p.Error(); got != c.prefix+c.inner {
			t.Errorf("%+v: Error() = %s", c.m, got)
		}
	}
	named := Identity{Namespace: "shop"}.orDefault()
	if got := (&Metric{Source: External, Name: "queue", Target: value}).inner(&Fault{Code: FaultNothingListed, id: &named}); !strings.Contains(got, "shop/queue") {
		t.Errorf("in namespace shop: %s", got)
	}
	if got := (&Proposal{}).Error(); got != "" {
		t.Errorf("a proposal has the error %q", got)
	}
}

func TestWhatDecidedStableIsDated(t *testing.T) {
	spec := behaviorSpec(5 * time.Minute)
	spec.ScaleUp.Window, spec.Metrics[0].Target.Utilization = time.Minute, 100
	for _, c := range []struct {
		name  string
		milli int64
		n     int32 // recommended 50 s ago
		want  time.Duration
	}{
		{"a lower one holds an increase", 200, 4, 50 * time.Second},
		{"a higher one holds a decrease", 50, 4, 50 * time.Second},
		{"a lower one lets an increase go half way", 200, 6, 50 * time.Second},
		{"a higher one lets a decrease go half way", 50, 3, 50 * time.Second},
		{"nothing holds an increase", 200, 9, 0},
		{"nothing holds a decrease", 50, 1, 0},
		{"on target it is this one", 100, 4, 0},
	} {
		pods, r := podsAt(4, c.milli)
		d, _ := oneStep(DefaultParams(), spec, Observation{SpecReplicas: 4, StatusReplicas: 4, Pods: pods, Metrics: []Reading{r}}, &Memory{Recommendations: []Recommendation{{-50 * time.Second, c.n}}})
		if got := d.Age(); got != c.want {
			t.Errorf("%s: stable %d is %v old, want %v", c.name, d.Stable, got, c.want)
		}
	}
}

func TestBelowZeroIsZero(t *testing.T) {
	d, _ := oneStep(DefaultParams(), external("queue", Target{Type: Value, ValueMilli: 1}), Observation{SpecReplicas: 1, StatusReplicas: 1, Pods: make([]Pod, 1), Metrics: []Reading{{Series: []int64{-5}}}}, &Memory{Recommendations: []Recommendation{{-time.Hour, 1}}})
	if d.Proposal.Replicas != -5 || d.Stable != 0 || d.Replicas != 1 {
		t.Errorf("proposal %d, stable %d, size %d; want -5, 0, 1", d.Proposal.Replicas, d.Stable, d.Replicas)
	}
	if d, _ = oneStep(DefaultParams(), cpuSpec(), Observation{}, nil); d.Path != AtZero || d.Stable != 0 || d.Limited != 0 || d.Desired != 0 {
		t.Errorf("at zero: path %d, stable %d, limited %d, desired %d", d.Path, d.Stable, d.Limited, d.Desired)
	}
}

// A failed status write leaves the old status, and the next write is tried again.
func TestAFailedStatusWriteLeavesTheOldOne(t *testing.T) {
	f := newFixture(fourMetrics(), 10, 10)
	f.load(140)
	f.step()
	before := fmt.Sprint(f.c.status.metrics, f.c.Memory().Conditions)
	f.o.StatusErr = errAPI
	f.load(180)
	f.step()
	if after := fmt.Sprint(f.c.status.metrics, f.c.Memory().Conditions); f.d.Err == nil || after != before {
		t.Errorf("error %v, status %s, want that before: %s", f.d.Err, after, before)
	}
}

func TestWhatLeftNoTraceCountsInTheWindows(t *testing.T) {
	spec := DefaultConfig(20)
	p := DefaultParams()
	p.DownscaleStabilization = time.Minute
	for _, c := range []struct {
		name      string
		milli     int64 // in the quiet ones
		n, put    int
		want      int32 // at 80 s, when the load is gone
		recommend int   // of the memory before that
	}{
		{"none was put in: the proposal has left the window", 80, 0, 0, 1, 2},
		{"the last one, at 60 s, still holds", 80, 3, 3, 4, 5},
		{"one that would have rescaled did not happen", 400, 3, 3, 1, 2},
	} {
		controller := New(p)
		var d Decision
		pods, r := podsAt(4, 80) // on target: 80 % of the request
		controller.Step(&Observation{Spec: &spec, Selector: "app=web", SpecReplicas: 4, StatusReplicas: 4, Pods: pods, Metrics: []Reading{r}}, &d)
		_, r = podsAt(4, c.milli)
		o := Observation{Spec: &spec, Selector: "app=web", SpecReplicas: 4, StatusReplicas: 4, Pods: pods, Metrics: []Reading{r}}
		if put := controller.Repeat(&o, 0, 80*time.Second, c.n); put != c.put {
			t.Errorf("%s: Repeat put in %d, want %d", c.name, put, c.put)
		}
		if got := len(controller.Memory().Recommendations); got != c.recommend {
			t.Errorf("%s: %d recommendations are remembered, want %d", c.name, got, c.recommend)
		}
		_, r = podsAt(4, 10)
		controller.Step(&Observation{At: 80 * time.Second, Selector: "app=web", SpecReplicas: 4, StatusReplicas: 4, Pods: pods, Metrics: []Reading{r}}, &d)
		if d.Replicas != c.want {
			t.Errorf("%s: %d replicas at 80 s, want %d", c.name, d.Replicas, c.want)
		}
	}
}

// Repeated reconciles are spread evenly between the two recorded ones.
func TestRepeatIsEvenlySpread(t *testing.T) {
	spec := DefaultConfig(20)
	controller := New(DefaultParams())
	pods, r := podsAt(4, 80)
	o := Observation{At: 40 * time.Second, Spec: &spec, Selector: "app=web", SpecReplicas: 4, StatusReplicas: 4, Pods: pods, Metrics: []Reading{r}}
	var d Decision
	controller.Step(&o, &d)
	controller.Repeat(&o, 40*time.Second, 80*time.Second, 3)
	got := map[time.Duration]bool{}
	for _, r := range controller.Memory().Recommendations {
		got[r.At] = true
	}
	for _, want := range []time.Duration{40, 50, 60, 70} {
		if !got[want*time.Second] {
			t.Errorf("nothing is remembered of second %d: %v", want, controller.Memory().Recommendations)
		}
	}
	if len(got) != 4 {
		t.Errorf("remembered %v, want four instants", controller.Memory().Recommendations)
	}
}
