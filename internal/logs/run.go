package logs

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
)

// Run makes a run of logs, whose clocks are one: its meta (Target.Kind "log")
// and its requests in order of arrival. Run time begins with the first arrival
// of a wall clock, and at 0 of any other.
//
// What a log says of queueing becomes a sample a request: queued_s, seconds from
// its arrival until the server had it in its queue.
func Run(name string, logs []Log) (results.Meta, []results.Request, []results.Sample) {
	var all []Entry
	var formats []string
	for _, l := range logs {
		all = append(all, l.Entries...)
		if !slices.Contains(formats, l.Format) {
			formats = append(formats, l.Format)
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	})
	origin := 0.0
	meta := results.Meta{Schema: results.Schema, Speed: 1, Profile: name, Target: results.Target{Kind: results.OfLog,
		Protocol: strings.Join(formats, ", ")},
		HPA: results.HPAContext{Controller: "unknown"}}
	if len(all) > 0 && (all[0].At < 0 || all[0].At > 1e6) {
		origin = all[0].At
	}
	if origin > 1e8 {
		meta.Start = time.Unix(0, int64(math.Round(origin*1e6))*1e3).UTC()
	}
	b := builder{origin: origin, backends: map[string]int32{}, classes: map[string]int16{}, errors: map[string]int32{}}
	requests := make([]results.Request, len(all))
	var samples []results.Sample
	for i := range all {
		if e := &all[i]; !math.IsNaN(e.Queued) {
			samples = append(
				samples,
				results.Sample{At: b.at(e.At), Source: results.FromLog, Name: "queued_s", Value: e.Queued - e.At,
					SampledAt: results.NotYet},
			)
		}
		requests[i] = b.request(i, &all[i])
		meta.Target.Streams = meta.Target.Streams || results.Happened(requests[i].First)
	}
	meta.Backends, meta.Classes, meta.Errors = b.backendList, b.classList, b.errorList
	meta.DurationS = b.end.Seconds()
	meta.Stages = []results.StageInfo{{Name: "log", Shape: "trace", ToS: b.end.Seconds(), Arrivals: len(all)}}
	if len(meta.Classes) == 0 {
		meta.Classes = []string{"default"}
	}
	return meta, requests, samples
}

// builder turns entries into requests and keeps the tables they point into.
type builder struct {
	origin      float64
	end         time.Duration
	backends    map[string]int32
	backendList []results.Backend
	classes     map[string]int16
	classList   []string
	errors      map[string]int32
	errorList   []string
}

func (b *builder) at(s float64) time.Duration {
	if math.IsNaN(s) {
		return results.NotYet
	}
	d := time.Duration(math.Round((s-b.origin)*1e6)) * time.Microsecond
	b.end = max(b.end, d)
	return d
}

func (b *builder) request(i int, e *Entry) results.Request {
	r := results.Request{Arrival: i, Prompt: e.Prompt, Tokens: e.Output, Code: e.Status, Err: -1, Backend: -1,
		Scheduled: b.at(e.At), Sent: b.at(e.At), First: b.at(e.First), Last: b.at(e.Last), Done: b.at(e.Done),
		GapMax: time.Duration(e.Gap * float64(time.Second))}
	if results.Happened(r.Last) && !results.Happened(r.First) {
		r.Done, r.Last = max(r.Done, r.Last), results.NotYet // the end of an answer in one piece
	}
	if results.Happened(r.First) && !results.Happened(r.Last) {
		r.Last = r.Done
	}
	if !results.Happened(r.Done) {
		r.Done = r.Last
	}
	if e.Output > 0 {
		r.TokensFrom = results.TokensUsage
	}
	r.Outcome = outcome(e)
	if r.Outcome.Failed() {
		r.First, r.Last = results.NotYet, results.NotYet
	}
	if e.Failed != "" {
		k, ok := b.errors[e.Failed]
		if !ok {
			k = int32(len(b.errorList))
			b.errors[e.Failed] = k
			b.errorList = append(b.errorList, e.Failed)
		}
		r.Err = k
	}
	if e.Backend != "" {
		k, ok := b.backends[e.Backend]
		if !ok {
			k = int32(len(b.backendList))
			b.backends[e.Backend] = k
			b.backendList = append(b.backendList, results.Backend{Name: e.Backend, Address: e.Backend})
		}
		r.Backend = k
	}
	if e.Class != "" {
		k, ok := b.classes[e.Class]
		if !ok {
			k = int16(len(b.classList))
			b.classes[e.Class] = k
			b.classList = append(b.classList, e.Class)
		}
		r.Class = k
	}
	return r
}

// outcome is how a request ended, by its status and its error.
func outcome(e *Entry) results.Outcome {
	text := strings.ToLower(e.Failed)
	switch {
	case strings.Contains(text, "cancel") || strings.Contains(text, "incomplete") || strings.Contains(text,
		"client closed"):
		return results.Canceled
	case strings.Contains(text, "timeout") || strings.Contains(text, "timed out"):
		return results.Timeout
	case e.Status == 429 || strings.Contains(text, "429") || strings.Contains(text, "too many requests"):
		return results.HTTP429
	case e.Status >= 500:
		return results.HTTP5xx
	case e.Status >= 400:
		return results.HTTP4xx
	case strings.Contains(text, "connect") || strings.Contains(text, "refused"):
		return results.Connect
	case text != "":
		return results.InBand
	}
	return results.OK
}

// Summary says in a line what was read.
func (l *Log) Summary() string {
	s := fmt.Sprintf("%s: %s (%s)", l.Name, figure.Many(len(l.Entries), "request"), l.Format)
	if len(l.Bad) > 0 {
		s += ", " + figure.Many(len(l.Bad), "bad line")
	}
	return s
}
