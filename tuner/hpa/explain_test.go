package hpa

import (
	"errors"
	"math"
	"testing"
	"time"
)

// Sentences from decisions made by hand, so that each clause is reached on its own. The golden
// explanations of test/conformance show that Step makes such decisions.
func TestExplainSaysEachClause(t *testing.T) {
	spec := cpuSpec()
	spec.MaxReplicas, spec.MinReplicas = 20, 2
	behavior := behaviorSpec(0)
	behavior.MaxReplicas, behavior.MinReplicas = 20, 2
	disabled := behavior.Clone()
	disabled.ScaleUp.Select = Disabled
	cpu, rps := &spec.Metrics[0], &Metric{Source: Pods, Name: "rps", Target: Target{Type: AverageValue, AverageMilli: 1500}}
	memory := &Metric{Name: "memory", Target: Target{AverageMilli: 1 << 30 * 1000}}
	used := &Metric{Source: ContainerResource, Name: "cpu", Container: "app", Target: Target{AverageMilli: 300}}
	custom := &Metric{Source: Object, Name: "memory", Object: ObjectRef{Kind: "Job", Name: "j"}, Target: Target{Type: Value, ValueMilli: 2000}}
	queue := &Metric{Source: External, Name: "cpu", Target: Target{Type: AverageValue, AverageMilli: 2500}}
	// A decision that wanted 8 from 4 and got it.
	got := func(f func(*Decision)) *Decision {
		d := &Decision{At: time.Minute, StableFrom: time.Minute, From: 4, Replicas: 8, Scaled: true, HasProposal: true, Stable: 8, Limited: 8, Limit: 8, Policy: -1, Up: true, spec: &spec,
			Proposal: Proposal{Metric: cpu, Replicas: 8, Utilization: 140, Ratio: 2, First: 2}}
		f(d)
		return d
	}
	const wanted = "4 → 8: wanted 8 (cpu 140 % of 70 %)"
	for _, c := range []struct {
		name string
		d    *Decision
		want string
	}{
		{"nothing held or limited it", got(func(*Decision) {}), wanted},
		{"nothing was written", got(func(d *Decision) { d.Scaled = false }), "stays at 4: wanted 8 (cpu 140 % of 70 %)"},
		{"writing failed", got(func(d *Decision) {
			d.Scaled, d.rescale = false, text{form: formNewSizeFailed, n: 8, err: errAPI}
		}), "stays at 4, writing 8 failed (api is away): wanted 8 (cpu 140 % of 70 %)"},
		{"an older, higher one holds", got(func(d *Decision) { d.Stable, d.Limited, d.StableFrom = 9, 9, 15*time.Second }), wanted + "; stabilization gives 9, the highest recommendation in its window (45s ago)"},
		{"its age is in whole seconds", got(func(d *Decision) { d.Stable, d.Limited, d.StableFrom = 9, 9, 14600*time.Millisecond }), wanted + "; stabilization gives 9, the highest recommendation in its window (45s ago)"},
		{"with behavior, upward, a lower one holds", got(func(d *Decision) { d.spec, d.Stable, d.Limited = &behavior, 5, 5 }), wanted + "; stabilization gives 5, the lowest recommendation in its window (0s ago)"},
		{"with behavior, at the present size, it is the lowest too", got(func(d *Decision) { d.spec, d.From, d.Stable, d.Limited = &behavior, 8, 7, 7 }), "8 → 8: wanted 8 (cpu 140 % of 70 %); stabilization gives 7, the lowest recommendation in its window (0s ago)"},
		{"with behavior, downward, the highest", got(func(d *Decision) { d.spec, d.From, d.Stable, d.Limited = &behavior, 9, 9, 9 }), "9 → 8: wanted 8 (cpu 140 % of 70 %); stabilization gives 9, the highest recommendation in its window (0s ago)"},
		{"a negative proposal wants 0", got(func(d *Decision) { d.Proposal.Replicas, d.Stable, d.Limited = -3, 0, 0 }), "4 → 8: wanted -3 (cpu 140 % of 70 %)"},
		{"a proposal of 1 that gives 0 was held", got(func(d *Decision) { d.Proposal.Replicas, d.Stable, d.Limited = 1, 0, 0 }), "4 → 8: wanted 1 (cpu 140 % of 70 %); stabilization gives 0, the highest recommendation in its window (0s ago)"},
		{"the first policy limits", got(func(d *Decision) { d.spec, d.Limited, d.Limit, d.Policy = &behavior, 6, 6, 0 }), wanted + "; the policy of 4 pods/15s allows 6"},
		{"the second policy limits", got(func(d *Decision) { d.spec, d.Limited, d.Limit, d.Policy = &behavior, 6, 6, 1 }), wanted + "; the policy of 100 %/15s allows 6"},
		{"a policy that is not there is not told", got(func(d *Decision) { d.spec, d.Limited, d.Limit, d.Policy = &behavior, 6, 6, 2 }), wanted + "; the policies allow 6"},
		{"downward the other list", got(func(d *Decision) { d.spec, d.Limited, d.Limit, d.Policy, d.Up = &behavior, 6, 6, 0, false }), wanted + "; the policy of 100 %/15s allows 6"},
		{"a direction is disabled", got(func(d *Decision) { d.spec, d.Limited, d.Limit = &disabled, 4, 4 }), wanted + "; scaling in this direction is disabled"},
		{"without behavior a step doubles at most", got(func(d *Decision) { d.Stable, d.Limited = 9, 8 }), wanted + "; stabilization gives 9, the highest recommendation in its window (0s ago); one step may double the size or reach 4: 8"},
		{"that is maxReplicas as well", got(func(d *Decision) { d.Limited, d.Limit, d.Stable = 20, 20, 21 }), wanted + "; stabilization gives 21, the highest recommendation in its window (0s ago); maxReplicas is 20"},
		{"maxReplicas", got(func(d *Decision) { d.Limited, d.Limit, d.Stable = 20, 30, 21 }), wanted + "; stabilization gives 21, the highest recommendation in its window (0s ago); maxReplicas is 20"},
		{"minReplicas", got(func(d *Decision) { d.Limited, d.Limit, d.Proposal.Replicas, d.Stable = 2, 8, 1, 1 }), "4 → 8: wanted 1 (cpu 140 % of 70 %); minReplicas is 2"},
		{"minReplicas that is maxReplicas", got(func(d *Decision) { d.Limited, d.Limit, d.Proposal.Replicas, d.Stable = 20, 30, 1, 1 }), "4 → 8: wanted 1 (cpu 140 % of 70 %); minReplicas is 20"},
		{"kept", got(func(d *Decision) { d.Proposal.Kept = true }), "4 → 8: cpu 140 % of 70 %; counting the other pods would reverse the direction, so the size is kept"},
		{"tolerated", got(func(d *Decision) { d.Proposal.Tolerated = true }), "4 → 8: cpu 140 % of 70 % is within tolerance"},
		{"tolerated with the others", got(func(d *Decision) { d.Proposal.Tolerated, d.Proposal.Ratio = true, 1.5 }), "4 → 8: cpu 140 % of 70 % over the measured pods, within tolerance with the others"},
		{"upward uncounted pods are 0", got(func(d *Decision) { d.Proposal.Unready, d.Proposal.Missing = 1, 1 }), wanted + "; 1 pod still not ready counted as 0, 1 pod without metrics counted as 0"},
		{"several", got(func(d *Decision) { d.Proposal.Unready, d.Proposal.Missing = 2, 3 }), wanted + "; 2 pods still not ready counted as 0, 3 pods without metrics counted as 0"},
		{"on target exactly", got(func(d *Decision) { d.Proposal.First, d.Proposal.Unready, d.Proposal.Missing = 1, 2, 2 }), wanted + "; 2 pods still not ready were left out, 2 pods without metrics changed nothing"},
		{"just above", got(func(d *Decision) { d.Proposal.First, d.Proposal.Unready, d.Proposal.Missing = 1.5, 1, 2 }), wanted + "; 1 pod still not ready counted as 0, 2 pods without metrics counted as 0"},
		{"downward", got(func(d *Decision) { d.Proposal.First, d.Proposal.Unready, d.Proposal.Missing = 0.5, 1, 2 }), wanted + "; 1 pod still not ready was left out, 2 pods without metrics counted as 100 % of its request"},
		{"at nothing", got(func(d *Decision) { d.Proposal.First, d.Proposal.Missing = 0, 2 }), wanted + "; 2 pods without metrics counted as 100 % of its request"},
		{"downward with a target above 100 %", got(func(d *Decision) {
			d.Proposal.First, d.Proposal.Missing, d.Proposal.Metric = 0.5, 1, &Metric{Name: "cpu", Target: Target{Utilization: 130}}
		}), "4 → 8: wanted 8 (cpu 140 % of 130 %); 1 pod without metrics counted as 130 % of its request"},
		{"downward with a plain target", got(func(d *Decision) {
			d.Proposal.First, d.Proposal.Missing, d.Proposal.Metric, d.Proposal.UsageMilli = 0.5, 2, rps, 750
		}), "4 → 8: wanted 8 (rps 0.75 of 1.5 each); 2 pods without metrics counted as on target"},
		{"a plain target of one thousandth", got(func(d *Decision) {
			d.Proposal.First, d.Proposal.Missing, d.Proposal.Metric, d.Proposal.UsageMilli = 0.5, 2, &Metric{Source: Pods, Name: "rps", Target: Target{AverageMilli: 1}}, 750
		}), "4 → 8: wanted 8 (rps 0.75 of 0.001 each); 2 pods without metrics counted as on target"},
		{"a container's utilization", got(func(d *Decision) {
			d.Proposal.Metric = &Metric{Source: ContainerResource, Name: "cpu", Container: "app", Target: Target{Utilization: 70}}
		}), "4 → 8: wanted 8 (cpu/app 140 % of 70 %)"},
		{"a container's memory, a tie rounded to even", got(func(d *Decision) {
			d.Proposal.Metric, d.Proposal.UsageMilli = &Metric{Source: ContainerResource, Name: "memory", Container: "app", Target: Target{AverageMilli: 1 << 30 * 1000}}, 1000<<20*1000+1<<19*1000
		}), "4 → 8: wanted 8 (memory/app 1000Mi of 1024Mi each)"},
		{"a tie rounded up to even", got(func(d *Decision) { d.Proposal.Metric, d.Proposal.UsageMilli = memory, 1001<<20*1000+1<<19*1000 }), "4 → 8: wanted 8 (memory 1002Mi of 1024Mi each)"},
		{"memory in Mi", got(func(d *Decision) { d.Proposal.Metric, d.Proposal.UsageMilli = memory, 1<<29*1000+1234567890 }), "4 → 8: wanted 8 (memory 513.2Mi of 1024Mi each)"},
		{"cpu in millicores, of a container", got(func(d *Decision) { d.Proposal.Metric, d.Proposal.UsageMilli = used, 450 }), "4 → 8: wanted 8 (cpu/app 450m of 300m each)"},
		{"an object called memory is a plain number, and has no uncounted pods", got(func(d *Decision) {
			d.Proposal.Metric, d.Proposal.UsageMilli, d.Proposal.Missing = custom, 3000, 3
		}), "4 → 8: wanted 8 (Job/j/memory 3 of 2)"},
		{"an external one called cpu too", got(func(d *Decision) { d.Proposal.Metric, d.Proposal.UsageMilli, d.Proposal.Unready = queue, 1250, 2 }), "4 → 8: wanted 8 (cpu 1.25 of 2.5 each)"},
		{"an average over no replicas", got(func(d *Decision) { d.Proposal.Metric, d.Proposal.UsageMilli = queue, math.MinInt64 }), "4 → 8: wanted 8 (cpu over no replicas, for 2.5 each)"},
		{"next to it", got(func(d *Decision) { d.Proposal.Metric, d.Proposal.UsageMilli = queue, math.MinInt64+1 }), "4 → 8: wanted 8 (cpu -9223372036854776 of 2.5 each)"},
		{"of three metrics two failed", got(func(d *Decision) {
			d.Per = []Proposal{d.Proposal, {Metric: rps, Fault: Fault{Code: FaultNoPods}}, {Metric: queue, Fault: Fault{Code: FaultNothingListed}}}
		}), wanted + "; 2 of 3 metrics failed (no pods returned by selector while calculating replica count)"},
		{"one of two failed", got(func(d *Decision) {
			d.Per = []Proposal{{Metric: rps, Fault: Fault{Code: FaultNoSamples}}, d.Proposal}
		}), wanted + "; 1 of 2 metrics failed (did not receive metrics for targeted pods (pods might be unready))"},
		{"none failed", got(func(d *Decision) { d.Per = []Proposal{d.Proposal} }), wanted},
	} {
		if got := c.d.Explain(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	if got := got(func(d *Decision) { d.StableFrom = 20 * time.Second }).Age(); got != 40*time.Second {
		t.Errorf("Age() = %v, want 40s", got)
	}
}

// Sentences of whole steps in which no metric made a proposal, or none counted.
func TestExplainTheOtherPaths(t *testing.T) {
	pods, r := podsAt(4, 200)
	good := Observation{SpecReplicas: 4, StatusReplicas: 4, Selector: "app=web", Pods: pods, Metrics: []Reading{r}}
	spec := DefaultConfig(10)
	spec.MinReplicas = 2
	two := spec.Clone()
	two.Metrics = append(two.Metrics, Metric{Source: Pods, Name: "rps", Target: Target{Type: AverageValue, AverageMilli: 1000}})
	for _, c := range []struct {
		name   string
		spec   *Config
		change func(*Observation)
		want   string
		err    string
	}{
		{"above maxReplicas", &spec, func(o *Observation) { o.SpecReplicas = 12 }, "12 → 10: above maxReplicas 10, so it is reduced at once, without metrics, windows or policies", ""},
		{"below minReplicas", &spec, func(o *Observation) { o.SpecReplicas = 1 }, "1 → 2: below minReplicas 2, so it is raised at once, without metrics, windows or policies", ""},
		{"at maxReplicas the metrics count", &spec, func(o *Observation) { o.SpecReplicas = 10 }, "stays at 10: wanted 10 (cpu 200 % of 80 %)", ""},
		{"at zero", &spec, func(o *Observation) { o.SpecReplicas = 0 }, "stays at 0: the HPA did not make this zero, so scaling is disabled until somebody scales the target up", ""},
		{"the scale cannot be read", &spec, func(o *Observation) { o.ScaleGetErr = errAPI }, "stays at 4: the scale could not be read (api is away)", "failed to query scale subresource for Deployment/default/web: api is away"},
		{"no selector", &spec, func(o *Observation) { o.Selector = "" }, "stays at 4: the target's scale has no selector", "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: selector is required"},
		{"a bad selector", &spec, func(o *Observation) { o.SelectorErr = errAPI }, "stays at 4: couldn't convert selector into a corresponding internal selector object: api is away", "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: couldn't convert selector into a corresponding internal selector object: api is away"},
		{"a bad selector without its text", &spec, func(o *Observation) { o.SelectorErr, o.Selector = errAPI, "" }, "stays at 4: couldn't convert selector into a corresponding internal selector object: api is away", "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: couldn't convert selector into a corresponding internal selector object: api is away"},
		{"an ambiguous one", &spec, func(o *Observation) { o.SelectorErr = &AmbiguousError{"[a b]"} }, "stays at 4: pods by selector app=web are controlled by more than one HPA (e.g. [a b])", "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: pods by selector app=web are controlled by more than one HPA (e.g. [a b])"},
		{"the metric fails", &spec, func(o *Observation) { o.Metrics = []Reading{{Err: errAPI}} }, "stays at 4: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: api is away", "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: api is away"},
		{"no reading at all", &spec, func(o *Observation) { o.Metrics = nil }, "stays at 4: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API", "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API"},
		{"the other metric fails upward", &two, func(*Observation) {}, "4 → 8: wanted 10 (cpu 200 % of 80 %); one step may double the size or reach 4: 8; 1 of 2 metrics failed (unable to get metric rps: no metrics returned from custom metrics API)", "invalid metrics (1 invalid out of 2), first error is: failed to get pods metric value: unable to get metric rps: no metrics returned from custom metrics API"},
		{"the other metric fails downward", &two, func(o *Observation) { o.SpecReplicas = 10; _, r := podsAt(4, 20); o.Metrics = []Reading{r} }, "stays at 10: wanted 1 (cpu 20 % of 80 %), but a failing metric blocks scaling down: unable to get metric rps: no metrics returned from custom metrics API", "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: invalid metrics (1 invalid out of 2), first error is: failed to get pods metric value: unable to get metric rps: no metrics returned from custom metrics API"},
		{"the other metric fails on target", &two, func(o *Observation) { _, r := podsAt(4, 80); o.Metrics = []Reading{r} }, "stays at 4: cpu 80 % of 80 % is within tolerance; 1 of 2 metrics failed (unable to get metric rps: no metrics returned from custom metrics API)", "invalid metrics (1 invalid out of 2), first error is: failed to get pods metric value: unable to get metric rps: no metrics returned from custom metrics API"},
		{"the write fails", &spec, func(o *Observation) { o.ScaleUpdateErr = errAPI }, "stays at 4, writing 8 failed (api is away): wanted 10 (cpu 200 % of 80 %); one step may double the size or reach 4: 8", "failed to rescale Deployment/default/web: api is away"},
		{"five conflicts", &spec, func(o *Observation) { o.Conflicts = 5 }, `stays at 4, writing 8 failed (Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your changes to the latest version and try again): wanted 10 (cpu 200 % of 80 %); one step may double the size or reach 4: 8`, `failed to rescale Deployment/default/web: Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your changes to the latest version and try again`},
		{"the status write fails", &spec, func(o *Observation) { o.StatusErr = errAPI }, "4 → 8: wanted 10 (cpu 200 % of 80 %); one step may double the size or reach 4: 8", "failed to update status for web: api is away"},
	} {
		o := good
		c.change(&o)
		o.Spec = c.spec
		d := Decision{}
		New(DefaultParams()).Step(&o, &d)
		err := ""
		if d.Err != nil {
			err = d.Err.Error()
		}
		if got := d.Explain(); got != c.want || err != c.err {
			t.Errorf("%s:\n got %s\nwant %s\n err %s\nwant %s", c.name, got, c.want, err, c.err)
		}
		if c.err != "" && o.Selector != "" && len(o.Metrics) > 0 && (o.ScaleGetErr != nil || o.ScaleUpdateErr != nil || o.StatusErr != nil || o.Metrics[0].Err != nil) && !errors.Is(d.Err, errAPI) {
			t.Errorf("%s: %v does not unwrap to the API's error", c.name, d.Err)
		}
	}
	for _, o := range []Observation{{}, {Spec: &Config{MaxReplicas: 3}}} {
		var d Decision
		New(DefaultParams()).Step(&o, &d)
		if !errors.Is(d.Err, errNoSpec) || d.Path != NoScale || d.spec == nil && d.Explain() != errNoSpec.Error() {
			t.Errorf("without a spec, or one without metrics: %v, path %d, %q", d.Err, d.Path, d.Explain())
		}
	}
}
