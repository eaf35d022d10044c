package observer

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/hpatune/hpatune/internal/exposition"
	"github.com/hpatune/hpatune/results"
)

// Scrape records what pods expose at their own /metrics: a Source. NewScrape makes one.
type Scrape struct {
	Clock results.Clock
	Page  Page
	// Pods are those that can be asked now.
	Pods func() []Scraped

	names []string // families beyond those of the engines
	found found
}

// Scraped is a pod whose metrics can be read.
type Scraped struct {
	Name  string
	Ready bool // a pod that is not ready may have no metrics yet
	Get   func(context.Context) ([]byte, error)
}

const (
	scrapeSource = "scrape"
	scrapeEvery  = 5 * time.Second // of the run
	scrapeWithin = 3 * time.Second // of this machine: how long a pod has for its answer
	// pageMost bounds a page: vLLM's has some 100 kB.
	pageMost = 8 << 20
	// namesMost limits the number of recorded families per pod, bucketsMost the buckets per
	// histogram.
	namesMost, bucketsMost = 64, 64
	scrapesAtOnce          = 8
	meanOver               = time.Minute
)

// found is what the first look at the pods' pages found.
type found struct {
	pods, answered int
	engines        []string
	missing        []string // requested names that are on no page
	families       int
}

// NewScrape reads the pages of the ready pods, and returns a source that records them.
// names are families to record in addition to those of known engines. It is an error if
// there are ready pods and none exposes metrics.
func NewScrape(ctx context.Context, page Page, names []string, pods func() []Scraped) (*Scrape, error) {
	s := &Scrape{Pods: pods, Page: page, names: slices.Compact(slices.Sorted(slices.Values(names)))}
	for i, n := range s.names { // PromQL speaks of a histogram's parts
		s.names[i] = exposition.Family(n)
	}
	if n := len(s.names); n > namesMost {
		return nil, fmt.Errorf("scrape: %d metrics requested; at most %d can be recorded", n, namesMost)
	}
	var first error
	seen := map[string]bool{}
	for _, a := range s.ask(ctx) {
		if !a.pod.Ready {
			continue
		}
		s.found.pods++
		if a.err != nil {
			if first == nil {
				first = fmt.Errorf("pod %s: %w", a.pod.Name, a.err)
			}
			continue
		}
		s.found.answered++
		for name := range a.families {
			seen[name] = true
		}
	}
	if s.found.pods > 0 && s.found.answered == 0 {
		return nil, fmt.Errorf("scrape: %w", first)
	}
	for _, e := range engines {
		if slices.ContainsFunc(e.families, func(f family) bool { return seen[f.name] }) {
			s.found.engines = append(s.found.engines, e.name)
		}
	}
	for _, n := range s.names {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(f string) bool { return sameMetric(f, n) }) {
			s.found.missing = append(s.found.missing, n)
		}
	}
	s.found.families = len(seen)
	return s, nil
}

// Describe says what was found, for a person.
func (s *Scrape) Describe() string {
	if s.found.pods == 0 {
		return "no pod is ready yet; each is scraped at " + s.Page.String() + " once it is ready"
	}
	text := fmt.Sprintf("%d of %d ready pods expose metrics at %s", s.found.answered, s.found.pods, s.Page)
	if len(s.found.engines) > 0 {
		text += " (" + strings.Join(s.found.engines, ", ") + ")"
	}
	text += fmt.Sprintf("; %d of them are recorded", s.found.families)
	if s.found.families == 0 {
		text += "; choose others with --scrape-metric"
	}
	if len(s.found.missing) > 0 {
		text += "; not found: " + strings.Join(s.found.missing, ", ")
	}
	return text
}

// sameMetric reports whether two names are of one metric: prometheus-adapter and dashboards
// write vllm_num_requests_waiting for vllm:num_requests_waiting.
func sameMetric(a, b string) bool {
	return a == b || strings.ReplaceAll(a, ":", "_") == strings.ReplaceAll(b, ":", "_")
}

// wanted reports whether and how a family is recorded.
func (s *Scrape) wanted(name string) (kind, bool) {
	for _, e := range engines {
		for _, f := range e.families {
			if f.name == name {
				return f.kind, true
			}
		}
	}
	for _, n := range s.names {
		if sameMetric(name, n) {
			if shareLike(name) {
				return largest, true
			}
			return summed, true
		}
	}
	return summed, false
}

// answer is what a pod said.
type answer struct {
	pod      Scraped
	at       time.Time // when it was asked
	families map[string]*dto.MetricFamily
	err      error
}

// ask reads all pods at once, and returns their answers in the pods' order.
func (s *Scrape) ask(ctx context.Context) []answer {
	pods := s.Pods()
	out := make([]answer, len(pods))
	var wg sync.WaitGroup
	free := make(chan struct{}, scrapesAtOnce)
	for i, p := range pods {
		free <- struct{}{}
		wg.Go(func() {
			out[i] = s.askOne(ctx, p)
			<-free
		})
	}
	wg.Wait()
	return out
}

func (s *Scrape) askOne(ctx context.Context, p Scraped) answer {
	ctx, cancel := context.WithTimeout(ctx, scrapeWithin)
	defer cancel()
	a := answer{pod: p, at: time.Now()}
	body, err := p.Get(ctx)
	if err == nil && len(body) > pageMost {
		err = fmt.Errorf(
			"its page is larger than %d MB; point --scrape at a page with only the server's own metrics",
			pageMost>>20,
		)
	}
	if err == nil {
		a.families, err = exposition.Read(body, func(name string) bool { _, ok := s.wanted(name); return ok })
	}
	if err != nil {
		a.err = s.Page.explain(err)
	}
	return a
}

// Observe asks the pods until ctx is done.
func (s *Scrape) Observe(ctx context.Context, emit results.Emit) error {
	r := s.scraping(emit)
	for ctx.Err() == nil {
		began := time.Now()
		answers := s.ask(ctx)
		if ctx.Err() != nil {
			break // a read that was cut off says nothing about the pods
		}
		r.look(answers, s.Clock.At(time.Now()))
		sleep(ctx, s.Clock.Wall(scrapeEvery)-time.Since(began))
	}
	// Counts since the last look are worth one more look at the end.
	answers := s.ask(context.WithoutCancel(ctx))
	r.look(slices.DeleteFunc(answers, func(a answer) bool { return a.err != nil }), s.Clock.At(time.Now()))
	r.close(s.Clock.At(time.Now()))
	return nil
}

// scraping is a run of Observe.
type scraping struct {
	*Scrape
	emit   results.Emit
	pods   map[string]*scrapedPod
	said   map[string]bool // what was warned of
	lapses *lapses
}

func (s *Scrape) scraping(emit results.Emit) *scraping {
	return &scraping{
		Scrape: s, emit: emit, pods: map[string]*scrapedPod{}, said: map[string]bool{},
		lapses: newLapses(results.SourceScrape, emit),
	}
}

// scrapedPod is what is known of a pod from its last answers.
type scrapedPod struct {
	answered bool
	last     time.Duration // of its last answer
	blind    bool
	why      string
	had      map[string]bool // names that had a value
	series   map[string]int  // labelled series that were recorded, by family
	means    map[string]*mean
	buckets  map[string]*bucketed
}

// look takes the answers of one round, which ended now.
func (r *scraping) look(answers []answer, now time.Duration) {
	present := map[string]bool{}
	lost := map[string]string{}
	for _, a := range answers {
		present[a.pod.Name] = true
		p := r.pods[a.pod.Name]
		if p == nil {
			p = &scrapedPod{
				last: r.Clock.At(a.at), had: map[string]bool{}, series: map[string]int{},
				means: map[string]*mean{}, buckets: map[string]*bucketed{},
			}
			r.pods[a.pod.Name] = p
		}
		if a.err != nil {
			if a.pod.Ready || p.answered {
				r.silent(&a, p)
			} else {
				p.last = r.Clock.At(a.at) // it starts: nothing is missed
			}
			continue
		}
		at := r.Clock.At(a.at)
		r.heard(a.pod.Name, p, at)
		p.answered, p.last = true, at
		for name, why := range r.values(&a, p, at) {
			lost[name] = why
		}
	}
	r.lapses.look(now, lost)
	for name, p := range r.pods {
		if !present[name] {
			r.gone(name, p, now)
			delete(r.pods, name)
		}
	}
}

// silent records that a pod did not answer. Each reason is printed once, whichever pod it
// is.
func (r *scraping) silent(a *answer, p *scrapedPod) {
	if p.blind {
		return
	}
	p.blind, p.why = true, a.err.Error()
	if !r.said[p.why] {
		r.said[p.why] = true
		r.emit(results.Warning{
			At: r.Clock.At(a.at), ID: results.WarnObserverBlind,
			Text: fmt.Sprintf("scrape: pod %s: %v; retrying", a.pod.Name, a.err),
		})
	}
}

// heard ends a pod's silence.
func (r *scraping) heard(name string, p *scrapedPod, at time.Duration) {
	if p.blind {
		p.blind = false
		r.emit(results.Gap{Source: results.SourceScrape.Of(name), From: p.last, To: at, Why: p.why})
	}
}

// gone records the last known values of a pod that no longer exists.
func (r *scraping) gone(name string, p *scrapedPod, at time.Duration) {
	r.heard(name, p, at)
	for _, family := range slices.Sorted(maps.Keys(p.buckets)) {
		r.tellBuckets(name, family, p.buckets[family])
	}
}

func (r *scraping) close(at time.Duration) {
	r.lapses.close(at)
	for _, name := range slices.Sorted(maps.Keys(r.pods)) {
		r.gone(name, r.pods[name], at)
	}
}

// values records the values of a pod's page, and returns the names that had a value and no
// longer have one.
func (r *scraping) values(a *answer, p *scrapedPod, at time.Duration) (lost map[string]string) {
	has := map[string]bool{}
	why := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(a.families)) {
		k, _ := r.wanted(name)
		rows := a.families[name].GetMetric()
		if k == histogram || len(rows) > 0 && rows[0].Histogram != nil {
			r.distribution(a.pod.Name, name, rows, p, at)
			r.labelled(a.pod.Name, name, rows, p, at)
			has[name] = true
			continue
		}
		v, ok := valueOf(rows, k)
		if !ok {
			why[name] = fmt.Sprintf("of pod %s is now %v", a.pod.Name, v)
			continue
		}
		has[name] = true
		r.sample(a.pod.Name, name, v, at, 0)
		r.labelled(a.pod.Name, name, rows, p, at)
	}
	lost = map[string]string{}
	for name := range p.had {
		if !has[name] {
			lost[name] = fmt.Sprintf("of pod %s is no longer on its page", a.pod.Name)
			if w := why[name]; w != "" {
				lost[name] = w
			}
		}
	}
	for name := range has {
		p.had[name] = true
	}
	return lost
}

// mostSeries is how many series of a family are recorded by their labels.
const mostSeries = 8

// labelled records each series of a family that has labels, by its whole name, when there are
// more of them than before: a query may select by the labels, and the family's value is that of
// all its series.
func (r *scraping) labelled(pod, family string, rows []*dto.Metric, p *scrapedPod, at time.Duration) {
	if len(rows) <= p.series[family] || len(rows) > mostSeries {
		return
	}
	p.series[family] = len(rows)
	for _, m := range rows {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		if v := exposition.Value(m); len(labels) > 0 && !math.IsNaN(v) && !math.IsInf(v, 0) {
			slices.Sort(labels)
			r.sample(pod, family+"{"+strings.Join(labels, ",")+"}", v, at, 0)
		}
	}
}

// valueOf is a pod's value of a family; ok is false if any of its series is not a number,
// since the others are not the whole.
func valueOf(rows []*dto.Metric, k kind) (v float64, ok bool) {
	for i, m := range rows {
		x := exposition.Value(m)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return x, false
		}
		if k == largest && i > 0 {
			v = max(v, x)
		} else {
			v += x
		}
	}
	return v, true
}

func (r *scraping) sample(pod, name string, v float64, at, window time.Duration) {
	r.emit(results.Sample{At: at, Source: scrapeSource, Name: name, Pod: pod, Value: v, Window: window, SampledAt: at})
}
