package record

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/promql"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// ScrapeAsk is the part of an Ask about the pods' own metrics.
type ScrapeAsk struct {
	Page    string   // see observer.ParsePage; "" = not read
	Metrics []string // to record beside those that are known or that the HPA names
}

// page parses where to read them; nil = they are not read.
func (a *ScrapeAsk) page() (*observer.Page, error) {
	if a.Page == "" {
		if len(a.Metrics) > 0 {
			return nil, failure.Inputf("--scrape-metric needs --scrape\nTry: --scrape :8000/metrics")
		}
		return nil, nil
	}
	page, err := observer.ParsePage(a.Page)
	if err != nil {
		return nil, failure.Inputf("--scrape %q: %w", a.Page, err)
	}
	return &page, nil
}

// sandbox adds this to a sandbox, whose pods all serve at one port.
func (a *ScrapeAsk) sandbox(box *Sandbox) (err error) {
	if box.Scrape, err = a.page(); err != nil || box.Scrape == nil {
		return err
	}
	if p := box.Scrape; p.Secure || p.Port != 0 && p.Port != sandbox.Port {
		return failure.Inputf("--scrape %s: the sandbox's pods serve plain HTTP at port %d\nTry: --scrape :%[2]d/metrics",
			p, sandbox.Port)
	}
	box.ScrapeNames = append(box.ScrapeNames, a.Metrics...)
	return nil
}

// cluster reads the pages of a subject's pods once; nil = they are not read.
func (a *ScrapeAsk) cluster(
	ctx context.Context, c *kube.Cluster, subject *kube.Subject, queries []observer.Query,
) (*observer.Scrape, error) {
	page, err := a.page()
	if page == nil {
		return nil, err
	}
	names := slices.Clone(a.Metrics)
	if subject.HPA != nil {
		for _, m := range subject.HPA.Spec.Metrics {
			if m.Pods != nil {
				names = append(names, m.Pods.Metric.Name)
			}
		}
	}
	if subject.Scaled != nil {
		names = append(names, readByScaled(subject.Scaled)...)
	}
	for _, q := range queries {
		names = append(names, promql.Metrics(q.PromQL)...)
	}
	return observer.NewScrape(ctx, *page, names, func() []observer.Scraped {
		return observer.ScrapedNow(c, subject, *page)
	})
}

// readByScaled is readBy for a live ScaledObject; none where it cannot be read.
func readByScaled(u *unstructured.Unstructured) []string {
	text, err := u.MarshalJSON()
	if err != nil {
		return nil
	}
	docs, _ := manifest.Options{Unchecked: true}.Parse("ScaledObject "+u.GetName(), text)
	if len(docs) != 1 || docs[0].Scaled == nil {
		return nil
	}
	return readBy(&manifest.HPA{Scaled: &docs[0]})
}

// readBy are the metrics of single pods that a manifest reads, directly or in the queries
// of a ScaledObject.
func readBy(h *manifest.HPA) (out []string) {
	for _, m := range h.Config.Metrics {
		if m.Source == hpa.Pods {
			out = append(out, m.Name)
		}
	}
	if h.Scaled == nil {
		return out
	}
	for _, t := range h.Scaled.Scaled.Spec.Triggers {
		out = append(out, promql.Metrics(t.Metadata["query"])...)
		if t.Type == "metrics-api" && t.Metadata["format"] == "prometheus" {
			out = append(out, promql.Metrics(t.Metadata["valueLocation"])...)
		}
	}
	return out
}
