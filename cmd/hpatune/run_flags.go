package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/profiles"
)

// The kinds of run, by the flag that asks for one.
const (
	ofSandbox = "--sandbox"
	ofURL     = "--url"
	ofHPA     = "--hpa"
	ofTarget  = "--target"
)

// kind is what kind of run the flags ask for.
func (f *runFlags) kind() string {
	switch {
	case f.sandbox:
		return ofSandbox
	case f.cluster.hpa != "":
		return ofHPA
	case f.cluster.target != "":
		return ofTarget
	}
	return ofURL
}

// usedBy lists the flags that not every kind of run uses, and those that do. A
// flag that does nothing is refused: who gave it believes that it does.
var usedBy = []struct {
	flags []string
	kinds []string
}{
	{[]string{"speed"}, []string{ofSandbox}},
	{[]string{"filename"}, []string{ofSandbox, ofHPA}},
	{[]string{"apply"}, []string{ofHPA}},
	{[]string{"fix-replicas"}, []string{ofTarget}},
	{[]string{"prometheus", "prometheus-config", "promql", "throttling"}, []string{ofHPA, ofTarget}},
	{[]string{"controller"}, []string{ofHPA}},
	{
		[]string{"header-file", "ca-file", "insecure", "http2", "model", "path", "no-probe"},
		[]string{ofURL, ofHPA, ofTarget},
	},
}

// byWorkers are the flags that say how workers are made.
var byWorkers = []string{"image", "image-pull-secret", "worker-cpu", "worker-memory", "worker-avoid", "worker-timeout"}

// useless refuses flags that do nothing in the kind of run that is asked for,
// and amounts below zero; given reports whether a flag was given.
func (f *runFlags) useless(given func(flag string) bool) error {
	for _, u := range usedBy {
		for _, flag := range u.flags {
			if given(flag) && !slices.Contains(u.kinds, f.kind()) {
				return usagef("--%s has no effect with %s; it is for %s", flag, f.kind(), strings.Join(u.kinds, " and "))
			}
		}
	}
	for _, flag := range byWorkers {
		if given(flag) && f.fleet.workers == 0 {
			return usagef("--%s has no effect without --workers", flag)
		}
	}
	if k := f.kind(); f.fleet.workers == 0 && k != ofHPA && k != ofTarget {
		for _, flag := range []string{"kubeconfig", "context", "namespace"} {
			if given(flag) {
				return usagef("--%s has no effect with %s, which uses no cluster", flag, k)
			}
		}
	}
	switch {
	case f.maxRate < 0:
		return usagef("--max-rate %g: want a positive rate; omit it for no limit", f.maxRate)
	case f.inFlight < 0:
		return usagef("--max-in-flight %d: want 1 or more", f.inFlight)
	case f.capacity < 0 || given("find-capacity") && f.capacity == 0:
		return usagef("--find-capacity %s: want the duration of a step\nTry: --find-capacity=20s", f.capacity)
	}
	return nil
}

// overridden is the profile with what the flags change of it.
func (f *runFlags) overridden(p *profiles.Profile, data []byte) (*profiles.Profile, []byte, error) {
	o := f.override
	if f.rate != "" {
		r, err := profiles.ParseRate(f.rate)
		switch {
		case err != nil:
			return nil, nil, usagef("--rate: %w\nTry: --rate 5/s", err)
		case r == 0:
			return nil, nil, usagef("--rate %s: no request would be sent\nTry: --rate 5/s", f.rate)
		}
		o.Rate = r
	}
	if o.Path != "" && !strings.HasPrefix(o.Path, "/") {
		o.Path = "/" + o.Path
	}
	q, data, err := p.With(o, f.profile, data, p.Files)
	return q, data, exitIf(exitUsage, err)
}

// address is the URL to load as a person wrote it, checked and complete: --path
// is the whole path, whatever the URL says.
func (f *runFlags) address(p *record.Plan, raw string) (string, error) {
	full, err := p.CheckURL(raw)
	if err != nil || f.override.Path == "" {
		return full, recordError(err)
	}
	u, err := url.Parse(full)
	if err != nil {
		return "", usagef("--url: %w", err)
	}
	u.Path, u.RawPath = "", ""
	return u.String(), nil
}

// probe sends one request before the load and prints what came back. It is an
// error where no request of the load could do better.
func (s streams) probe(ctx context.Context, f runFlags, p *record.Plan, to string) error {
	// The workers may reach what this machine does not; of many generators one
	// asks; and an appointed start must not be missed.
	if f.noProbe || f.fleet.workers > 0 || p.Shard.N > 1 && p.Shard.I > 0 || !p.Start.IsZero() {
		return nil
	}
	got, err := p.Probe(ctx, to)
	if err != nil {
		return recordError(err)
	}
	text := got.String()
	if len(got.Models) > 0 {
		text += "\nThe server lists these models: " + strings.Join(got.Models, ", ")
		if !slices.Contains(got.Models, got.Model) {
			text += "; try --model " + got.Models[0]
		}
	}
	if got.Hopeless() {
		return exit(
			exitFailed,
			fmt.Errorf(
				"no load was sent, because the test request was not answered\n%s\nTo send the load anyway, pass --no-probe",
				text,
			),
		)
	}
	if got.Error != "" {
		text = "the test request failed; sending the load anyway\n" + text
	}
	s.say(text)
	for _, w := range got.Warnings {
		s.warnf("warning: %s", w.Text)
	}
	return nil
}
