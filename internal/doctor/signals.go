package doctor

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/internal/promql"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// The checks of what a metric is: whether it can fall, whether it exists, and whether its
// target is in its unit.

// rates are the functions that turn a counter into something that rises and falls.
var rates = []string{"rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets"}

// reads returns the series behind a metric: those of its query if it has one, else the
// metric's own name.
func (s *subject) reads(i int) (out []promql.Series, query bool) {
	m := s.config.Metrics[i]
	if m.Source == hpa.Resource || m.Source == hpa.ContainerResource {
		return nil, false
	}
	if q := s.query(i); q != "" {
		return promql.Read(q), true
	}
	return []promql.Series{{Name: m.Name}}, false
}

// query is the PromQL behind a metric, "" where none is known.
func (s *subject) query(i int) string {
	if t := s.trigger(i); t != nil && t.Type == "prometheus" {
		return t.Metadata["query"]
	}
	return ""
}

// trigger is the KEDA trigger behind a metric; nil where there is none.
func (s *subject) trigger(i int) *manifest.Trigger {
	if s.keda == nil || len(s.keda.HPA.Spec.Metrics) != len(s.config.Metrics) {
		return nil
	}
	return s.keda.Trigger(i)
}

func counters(s *subject) (hits []hit, ok bool) {
	for i := range s.config.Metrics {
		list, query := s.reads(i)
		for _, x := range list {
			if !onlyGrows(x.Name) || x.Has(rates...) {
				continue
			}
			h := s.hit(
				metricPath(i),
				"%s is a counter: it only grows, so the size never falls (unless the adapter serves its rate under this name)",
				x.Name,
			)
			h.fix = fmt.Sprintf("serve its rate, rate(%s[2m]), under a name that ends in _per_second", x.Name)
			if query {
				h.why = fmt.Sprintf("%s is a counter: it only grows, so the size never falls", x.Name)
				h.fix = fmt.Sprintf("write rate(%s[2m])", x.Name)
			}
			hits = append(hits, h)
			break
		}
	}
	return hits, true
}

func goneMetric(s *subject) (hits []hit, ok bool) {
	for i := range s.config.Metrics {
		list, query := s.reads(i)
		for _, x := range list {
			k, known := lookUp(x.Name)
			switch {
			case !known:
			case k.gone != "":
				h := s.hit(
					metricPath(i),
					"%s was removed in %s, so newer servers do not have it. One failing metric blocks scaling down; if all fail, "+
						"the HPA does nothing",
					x.Name,
					k.gone,
				)
				if k.present != "" {
					h.fix = "use " + k.present
				}
				hits = append(hits, h)
			case k.kind == histogram && query && !x.Has("histogram_quantile", "histogram_avg", "histogram_sum",
				"histogram_count", "histogram_fraction"):
				h := s.hit(
					metricPath(i),
					"%s is a histogram of %s: its series are named _bucket, _sum and _count, and none has this name",
					x.Name,
					k.server,
				)
				h.fix = fmt.Sprintf(
					"use rate(%s_sum[2m]) / rate(%s_count[2m]) for the mean, or histogram_quantile over rate(%s_bucket[2m])",
					x.Name,
					x.Name,
					x.Name,
				)
				hits = append(hits, h)
			}
		}
	}
	return hits, true
}

// misspeltMetric finds names that nearly are those of a known server's metrics.
func misspeltMetric(s *subject) (hits []hit, ok bool) {
	for i := range s.config.Metrics {
		list, query := s.reads(i)
		if p, asked := s.facts.Probes[key(s.doc)][i]; asked && p.Series > 0 && !query {
			continue // it is there under this name
		}
		for _, x := range list {
			k, near := misspelt(x.Name)
			if !near {
				continue
			}
			h := s.hit(
				metricPath(i),
				"%s has no metric %s that is known here; a metric without series forbids scaling down, and if all fail, "+
					"nothing scales",
				k.server,
				x.Name,
			)
			h.fix = fmt.Sprintf("did you mean %s?", k.name)
			hits = append(hits, h)
		}
	}
	return hits, true
}

// perPod reports whether a target is compared with a value of one pod.
func perPod(m hpa.Metric) bool { return m.Source == hpa.Pods || m.Target.AverageMilli != 0 }

func targetOf(m hpa.Metric) float64 {
	if m.Target.AverageMilli != 0 {
		return float64(m.Target.AverageMilli) / 1000
	}
	return float64(m.Target.ValueMilli) / 1000
}

// bound is the highest value of a well-known metric per pod.
func (s *subject) bound(i int) (most float64, why string, ok bool) {
	m := s.config.Metrics[i]
	list, query := s.reads(i)
	if len(list) != 1 || !perPod(m) || query && !strings.EqualFold(strings.TrimSpace(bare(s.query(i))), list[0].Name) {
		return 0, "", false
	}
	k, _ := lookUp(list[0].Name)
	switch {
	case m.Source != hpa.Pods && (k.averaged || list[0].Has(means...)):
		return 0, "", false // divided by the number of pods once more: averagedSignal
	case k.unit == ratio:
		return 1, fmt.Sprintf("%s of %s is a ratio, 0 to 1", list[0].Name, k.server), true
	case k.unit == percent:
		return 100, fmt.Sprintf("%s of %s is in percent, 0 to 100", list[0].Name, k.server), true
	}
	if flag := slots[plain(list[0].Name)]; flag != "" {
		if n := s.argument(flag); n > 0 {
			return n, fmt.Sprintf("the server runs at most %.0f requests at once (%s); the others wait", n, flag), true
		}
	}
	return 0, "", false
}

// slots are the arguments that limit how many requests a server runs at once, by the metric
// that counts them.
var slots = map[string]string{
	"vllm_num_requests_running": "--max-num-seqs", "sglang_num_running_reqs": "--max-running-requests",
	"tgi_batch_current_size": "--max-batch-size", "lmdeploy_num_requests_running": "--max-batch-size",
	"trtllm_num_requests_running": "--max_batch_size",
}

// argument is the number behind an argument of one of the containers; 0 = none.
func (s *subject) argument(flag string) float64 {
	if s.work == nil {
		return 0
	}
	list, _ := s.written() // of a live pod, arguments are not read
	for _, c := range list {
		words := slices.Concat(c.Command, c.Args)
		if len(words) > 0 { // sh -c "vllm serve … --max-num-seqs 64"
			words = strings.Fields(strings.Join(words, " "))
		}
		for i, w := range words {
			text, has := strings.CutPrefix(w, flag+"=")
			if !has && w == flag && i+1 < len(words) {
				text, has = words[i+1], true
			}
			if n, err := strconv.ParseFloat(strings.Trim(text, `"'`), 64); has && err == nil {
				return n
			}
		}
	}
	return 0
}

// bare is a query without one sum, avg or max around it and without its labels:
// "sum(x{a="b"})" becomes x. A query that computes something stays as it is.
func bare(query string) string {
	q := strings.TrimSpace(query)
	for _, f := range []string{"sum", "avg", "max", "min"} {
		if rest, ok := strings.CutPrefix(q, f); ok {
			rest = strings.TrimSpace(rest)
			if strings.HasPrefix(rest, "(") && strings.HasSuffix(rest, ")") {
				q = rest[1 : len(rest)-1]
			}
			break
		}
	}
	if at := strings.IndexByte(q, '{'); at > 0 && promql.Closing(q, at, '}') == len(q)-1 {
		q = q[:at]
	}
	return strings.TrimSpace(q)
}

// metricUnit finds targets that are written in a unit other than their metric's.
func metricUnit(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		list, _ := s.reads(i)
		if len(list) != 1 || targetOf(m) == 0 {
			continue
		}
		name, t := list[0].Name, targetOf(m)
		k, known := lookUp(name)
		if known && (k.kind == counter || list[0].Has("rate", "irate", "increase")) {
			continue // of a rate the unit is another
		}
		low := strings.ToLower(name)
		switch {
		case k.unit == percent && t <= 1:
			h := s.hit(
				metricPath(i),
				"%s is in percent, 0 to 100, but the target is %.3g: the slightest use exceeds it, so the size is always "+
					"maxReplicas",
				name,
				t,
			)
			h.fix = "write " + s.words(100*t)
			hits = append(hits, h)
		case k.unit == seconds && t >= 50, !known && strings.HasSuffix(low, "_seconds") && t >= 200:
			h := s.hit(metricPath(i), "%s is in seconds, and the target is %.4g s; did you mean milliseconds?", name, t)
			h.fix = fmt.Sprintf("write %s for %.4g ms", s.words(t/1000), t)
			hits = append(hits, h)
		case k.unit == mib && t >= 1<<20:
			h := s.hit(
				metricPath(i),
				"%s is in MiB, and the target is %.4g MiB: no GPU has that much, so the size is always minReplicas",
				name,
				t,
			)
			h.fix = fmt.Sprintf("write %s", number(math.Round(t/(1<<20))))
			hits = append(hits, h)
		case strings.HasSuffix(low, "_bytes") && perPod(m) && t < 1<<20:
			h := s.hit(
				metricPath(i),
				"%s is in bytes, and the target is %.4g bytes: every pod uses more, so the size is always maxReplicas",
				name,
				t,
			)
			h.fix = fmt.Sprintf("write the unit: %sMi or %sGi", number(t), number(t))
			hits = append(hits, h)
		}
	}
	return hits, true
}

// words writes a target as its author would: a trigger's threshold is a plain
// number, an HPA's target a quantity.
func (s *subject) words(f float64) string {
	if s.keda != nil {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return number(f)
}

// number writes a quantity in the usual form: 600m for 0.6.
func number(f float64) string {
	if f == math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(math.Round(f*1000), 'f', -1, 64) + "m"
}

// means are the aggregations that do not grow with the number of pods.
var means = []string{"avg", "max", "min", "quantile", "histogram_quantile", "avg_over_time", "stddev"}

// averagedSignal finds external metrics that are already a mean over the pods and are
// divided by the number of replicas again.
func averagedSignal(s *subject) (hits []hit, ok bool) {
	for i, m := range s.config.Metrics {
		if m.Source != hpa.External && m.Source != hpa.Object || m.Target.AverageMilli == 0 {
			continue
		}
		list, query := s.reads(i)
		if len(list) == 0 {
			continue
		}
		every := !slices.ContainsFunc(list, func(x promql.Series) bool {
			k, _ := lookUp(x.Name)
			return !k.averaged && !x.Has(means...) || x.Has("sum", "count", "count_values")
		})
		quantile := query && slices.ContainsFunc(list, func(x promql.Series) bool { return x.Has("histogram_quantile") })
		if !every && !quantile {
			continue
		}
		t := targetOf(m)
		h := s.hit(
			metricPath(i),
			"%s is already a mean, a maximum or a quantile over the pods, and AverageValue divides it by their number again: the size "+
				"becomes value / %s, however many pods there are",
			describe(list[0], m),
			number(t),
		)
		if k, _ := lookUp(list[0].Name); k.unit == ratio {
			most := math.Ceil(1/t - 1e-9)
			h.why += fmt.Sprintf("; for a ratio that is at most %.0f", max(most, 1))
			if most < float64(s.config.MaxReplicas) {
				h.severity = Error
			}
		}
		hits = append(hits, h)
	}
	return hits, true
}

func describe(x promql.Series, m hpa.Metric) string {
	if x.Name == m.Name {
		return x.Name
	}
	if len(x.Inside) > 0 {
		return fmt.Sprintf("%s (%s of %s)", m.Name, x.Inside[0], x.Name)
	}
	return fmt.Sprintf("%s (%s)", m.Name, x.Name)
}
