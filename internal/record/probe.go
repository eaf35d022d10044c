package record

import (
	"context"

	"github.com/hpatune/hpatune/loadgen"
)

// Probe sends one request to a URL as the plan's load will be, before anything
// is recorded. What comes back is no error, be it a refusal.
func (p *Plan) Probe(ctx context.Context, url string) (loadgen.Probe, error) {
	return loadgen.SendProbe(ctx, loadgen.Options{
		Profile: p.Profile, Seed: p.Seed, URL: url, Secrets: p.Secrets, HeaderFile: p.HeaderFile, TLS: p.TLS, HTTP2: p.HTTP2,
	})
}
