package record

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/loadgen"
)

// Probe sends one request to a URL in the same way as the plan's load, before anything is
// recorded. A refusal by the server is an answer, not an error.
func (p *Plan) Probe(ctx context.Context, url string) (loadgen.Probe, error) {
	return loadgen.SendProbe(ctx, loadgen.Options{
		Profile: p.Profile, Seed: p.Seed, URL: url, Secrets: p.Secrets, HeaderFile: p.HeaderFile, TLS: p.TLS, HTTP2: p.HTTP2,
	})
}

// probe sends one request before the load and prints the answer. It returns an error if
// every request of the load would fail in the same way.
func (a *Ask) probe(ctx context.Context, p *Plan, to string) error {
	// The workers may reach what this machine does not; one of several generators is
	// enough; and a scheduled start must not be missed.
	if a.NoProbe || a.Fleet.Job.Workers > 0 || p.Shard.N > 1 && p.Shard.I > 0 || !p.Start.IsZero() {
		return nil
	}
	got, err := p.Probe(ctx, to)
	if err != nil {
		return err
	}
	text := got.String()
	if len(got.Models) > 0 {
		text += "\nThe server lists these models: " + strings.Join(got.Models, ", ")
		if !slices.Contains(got.Models, got.Model) {
			text += "; try --model " + got.Models[0]
		}
	}
	if got.Hopeless() {
		return fmt.Errorf(
			"no load was sent, because the test request was not answered\n%s\nTo send the load anyway, pass --no-probe", text)
	}
	if got.Error != "" {
		text = "the test request failed; sending the load anyway\n" + text
	}
	p.say("%s", text)
	for _, w := range got.Warnings {
		p.say("warning: %s", w.Text)
	}
	return nil
}

// address is the URL to load, checked and complete: an overridden path is the whole path,
// whatever the URL contains.
func (a *Ask) address(p *Plan, raw string) (string, error) {
	full, err := p.CheckURL(raw)
	if err != nil || a.Override.Path == "" {
		return full, err
	}
	u, err := url.Parse(full)
	if err != nil {
		return "", failure.Inputf("--url: %w", err)
	}
	u.Path, u.RawPath = "", ""
	return u.String(), nil
}
