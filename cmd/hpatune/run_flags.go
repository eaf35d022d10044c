package main

import (
	"slices"
	"strings"
)

// The kinds of run, by the flag that asks for one.
const (
	ofSandbox = "--sandbox"
	ofURL     = "--url"
	ofHPA     = "--hpa"
	ofTarget  = "--target"
)

// kind is the kind of run that the flags select.
func (f *runFlags) kind() string {
	switch {
	case f.ask.Sandbox:
		return ofSandbox
	case f.ask.HPA != "":
		return ofHPA
	case f.ask.Target != "":
		return ofTarget
	}
	return ofURL
}

// usedBy lists the flags that only some kinds of run use, with those kinds. A flag that has
// no effect is rejected, since the user expects it to have one.
var usedBy = []struct {
	flags []string
	kinds []string
}{
	{[]string{"speed"}, []string{ofSandbox}},
	{[]string{"filename"}, []string{ofSandbox, ofHPA}},
	{[]string{"apply"}, []string{ofHPA}},
	{[]string{"fix-replicas"}, []string{ofTarget}},
	{[]string{"prometheus", "prometheus-config", "promql", "throttling"}, []string{ofHPA, ofTarget}},
	{[]string{"scrape", "scrape-metric"}, []string{ofSandbox, ofHPA, ofTarget}},
	{[]string{"controller"}, []string{ofHPA}},
	{
		[]string{"header-file", "ca-file", "insecure", "http2", "model", "path", "no-probe"},
		[]string{ofURL, ofHPA, ofTarget},
	},
}

// byWorkers are the flags that say how workers are made.
var byWorkers = []string{"image", "image-pull-secret", "worker-cpu", "worker-memory", "worker-avoid", "worker-timeout"}

// useless rejects flags that have no effect in this kind of run, and negative amounts;
// given reports whether a flag was given.
func (f *runFlags) useless(given func(flag string) bool) error {
	for _, u := range usedBy {
		for _, flag := range u.flags {
			if given(flag) && !slices.Contains(u.kinds, f.kind()) {
				return usagef("--%s has no effect with %s; it is for %s", flag, f.kind(), strings.Join(u.kinds, " and "))
			}
		}
	}
	for _, flag := range byWorkers {
		if given(flag) && f.ask.Fleet.Job.Workers == 0 {
			return usagef("--%s has no effect without --workers", flag)
		}
	}
	if k := f.kind(); f.ask.Fleet.Job.Workers == 0 && k != ofHPA && k != ofTarget {
		for _, flag := range []string{"kubeconfig", "context", "namespace"} {
			if given(flag) {
				return usagef("--%s has no effect with %s, which uses no cluster", flag, k)
			}
		}
	}
	switch {
	case given("workers") && f.ask.Fleet.Job.Workers < 1:
		return usagef("--workers %d: want 1 or more pods to send from", f.ask.Fleet.Job.Workers)
	case f.ask.Plan.MaxRate < 0:
		return usagef("--max-rate %g: want a positive rate; omit it for no limit", f.ask.Plan.MaxRate)
	case !slices.Contains([]string{"", "h2c", "off"}, f.ask.Plan.HTTP2):
		return usagef("--http2 %q: want h2c or off", f.ask.Plan.HTTP2)
	case f.ask.Plan.InFlight < 0:
		return usagef("--max-in-flight %d: want 1 or more", f.ask.Plan.InFlight)
	case f.ask.Plan.Capacity < 0 || given("find-capacity") && f.ask.Plan.Capacity == 0:
		return usagef("--find-capacity %s: want the duration of a step\nTry: --find-capacity=20s", f.ask.Plan.Capacity)
	}
	return nil
}
