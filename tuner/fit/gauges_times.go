package fit

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// A metric may also say how long requests took: a mean or a quantile of the requests that
// were measured in a window. What each request adds is in the log.

// Ways in which a server's histogram may be read, tried if the query does not say which.
var (
	timesQuantiles = []float64{0, 0.5, 0.9, 0.95, 0.99} // 0 is the mean
	timesOver      = []float64{30, 60, 120, 300, 600}
	timesDelays    = []float64{0, 2, 5, 7.5, 10, 15, 20, 30}
	// timesScrapes are the intervals between two scrapes of the server: a rate reaches from the
	// first scrape in its range to the last, so it sees a range that is one interval shorter,
	// and on average half an interval late.
	timesScrapes = []float64{0, 15, 30}
)

// Bounds of the histograms of usual servers, in seconds. Sources: vllm-project/vllm
// vllm/v1/metrics/loggers.py (0.11; time to first token, and the times of a whole request);
// prometheus/client_golang DefBuckets.
var (
	bucketsOfFirst = []float64{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
		1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	bucketsOfRequest = []float64{0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60,
		120, 240, 480, 960, 1920, 7680}
	bucketsOfClients = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// timesWordsIn are found in the names of metrics that report a time.
var timesWordsIn = map[plant.Timed][]string{
	plant.ToFirst: {"ttft", "first_token", "time_to_first"},
	plant.ToEnd:   {"e2e", "request_latency", "request_duration", "response_time"},
	plant.InQueue: {"queue_time", "queue_duration", "queue_latency", "wait_time", "waiting_time", "queueing"},
}

const (
	mostTimed = 600 // points that are compared with the log
	// fewestTimed is the share of the points at which the log must have a time.
	fewestTimed = 0.5
	perMilli    = 1000 // of a metric in milliseconds
)

// measured is one request's time, and when it was measured.
type measured struct{ at, took float64 }

// timesOf returns a time of every request that was answered, in order of its measurement: of
// each server, and of all.
func (s *service) timesOf(of plant.Timed) map[int][]measured {
	out := map[int][]measured{}
	for i := range s.calls {
		c := &s.calls[i]
		x := measured{c.done, c.done - c.sent}
		switch {
		case !c.ok || of == plant.ToFirst && !c.streamed:
			continue
		case of == plant.ToFirst:
			x = measured{c.first, c.first - c.sent}
		case of == plant.InQueue:
			x.took = max(0, s.start[i]-c.sent)
		}
		out[c.server], out[all] = append(out[c.server], x), append(out[all], x)
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b measured) int { return sign(a.at - b.at) })
	}
	return out
}

// timeNamed returns the time that a server's histogram measures; 0 = not known.
func timeNamed(metric string) plant.Timed {
	switch results.RequestTimeOf(metric) {
	case "ttft":
		return plant.ToFirst
	case "e2e":
		return plant.ToEnd
	case "queue":
		return plant.InQueue
	}
	return 0
}

// asked returns what a trigger's query says about the time that a metric reports; nil = its
// query is not known, or reads something else.
func (s *service) asked(metric string) *keda.Part {
	if i := slices.IndexFunc(s.asks, func(p keda.Part) bool { return p.Name == metric }); i >= 0 {
		return &s.asks[i]
	}
	return nil
}

// timesCandidates returns the closest hypothesis for each time of a request: which quantile,
// in which buckets, over which window and how late.
//
// other is the deviation of the closest hypothesis of another kind; times that are further off
// at a first look are not returned, unless the query or the name speaks of them.
func (s *service) timesCandidates(m *hpa.Metric, tracks []track, other float64) (out []candidate) {
	asked := s.asked(m.Name)
	name, quantiles, over := m.Name, timesQuantiles, timesOver
	if asked != nil {
		name, quantiles, over = asked.Metric, []float64{asked.Quantile}, []float64{asked.Over.Seconds()}
	} else if window, isMean := strings.CutSuffix(m.Name, results.MeanSuffix); isMean { // over a minute, by the scraper
		name, quantiles, over = window, []float64{0}, []float64{60}
	}
	if results.ServerTimeOf(name) == "itl" {
		return nil // the gap between two tokens is no time of a request
	}
	coarse := map[plant.Timed]candidate{}
	least := math.Inf(1)
	named := timeNamed(name)
	for _, of := range allTimes {
		times := s.timesOf(of)
		if named != 0 && of != named || len(times[all]) < fewestAnswers {
			continue
		}
		hinted := named == of || slices.ContainsFunc(timesWordsIn[of], func(w string) bool {
			return strings.Contains(strings.ToLower(name), w)
		})
		c := s.closest(tracks, thinned(times, firstLook), of, s.bucketsOf(name, of)[:1], quantiles, over, []float64{0, 10})
		c.hinted = hinted
		coarse[of], least = c, min(least, c.deviation)
	}
	for _, of := range allTimes {
		c, ok := coarse[of]
		if !ok || math.IsInf(c.deviation, 1) || !c.hinted && c.deviation > min(1.5*least, other) {
			continue
		}
		window := c.pipe.Window.Seconds()
		fine := s.closest(
			tracks,
			thinned(s.timesOf(of), secondLook),
			of,
			s.bucketsOf(name, of),
			quantiles,
			seenOver(window),
			timesDelays,
		)
		fine.hinted = c.hinted
		out = append(out, fine)
	}
	return out
}

// How many requests are compared with a metric, at first and of what may be it: a day has
// hundreds of thousands, and each way of reading them takes another pass.
const firstLook, secondLook = 20_000, 100_000

// thinned returns every k-th time of each list, so that the longest has at most the given
// number of them.
func thinned(times map[int][]measured, most int) map[int][]measured {
	k := (len(times[all]) + most - 1) / most
	if k < 2 {
		return times
	}
	out := map[int][]measured{}
	for of, list := range times {
		for i := 0; i < len(list); i += k {
			out[of] = append(out[of], list[i])
		}
	}
	return out
}

// allTimes are the times of a request that may be measured, in the order in which they are
// preferred where they explain a metric equally well.
var allTimes = []plant.Timed{plant.ToFirst, plant.ToEnd, plant.InQueue}

// closest returns the hypothesis that is closest to the tracks, of all combinations.
func (s *service) closest(tracks []track, times map[int][]measured, of plant.Timed, buckets [][]float64,
	quantiles, windows, delays []float64) candidate {
	best := candidate{deviation: math.Inf(1)}
	for _, b := range buckets {
		for _, window := range windows {
			for _, delay := range delays {
				for i, seen := range s.timesSeen(tracks, times, b, quantiles, window, delay) {
					if seen.deviation < best.deviation*clearly {
						best = timesCandidate(of, quantiles[i], b, seen)
					}
				}
			}
		}
	}
	return best
}

// seenOver returns what is seen of a range that is scraped at the usual intervals.
func seenOver(window float64) (windows []float64) {
	for _, every := range timesScrapes {
		if window-every >= window/2 {
			windows = append(windows, window-every)
		}
	}
	return windows
}

// bucketsOf returns the bounds to try for a histogram: those that were recorded of it, or
// those of usual servers; nil stands for fine ones.
func (s *service) bucketsOf(family string, of plant.Timed) [][]float64 {
	if b := s.recordedBuckets(family); len(b) > 1 {
		return [][]float64{b}
	}
	if of == plant.ToFirst {
		return [][]float64{nil, bucketsOfFirst, bucketsOfClients}
	}
	return [][]float64{nil, bucketsOfRequest, bucketsOfClients}
}

// recordedBuckets returns the bounds of a pod's histogram, rising; nil = not recorded.
func (s *service) recordedBuckets(family string) (out []float64) {
	for i := range s.run.Samples {
		rest, ok := strings.CutPrefix(s.run.Samples[i].Name, family+`_bucket{le="`)
		if !ok {
			continue
		}
		if le, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64); err == nil && !math.IsInf(le, 0) {
			out = append(out, le)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// timesTiming is how far a metric is from one way of reading a time.
type timesTiming struct{ window, delay, unit, deviation float64 }

// timesSeen compares the tracks with each quantile of what was measured in a window that
// ended delay before each point.
func (s *service) timesSeen(
	tracks []track,
	times map[int][]measured,
	buckets, quantiles []float64,
	window, delay float64,
) []timesTiming {
	type pair struct{ seen, told float64 }
	pairs := make([][]pair, len(quantiles))
	total := 0
	if buckets == nil {
		buckets = plant.FineBuckets
	}
	for _, t := range tracks {
		h, own := plant.Histogram{Bounds: buckets}, times[t.server]
		step := 1 + len(t.points)*len(tracks)/mostTimed
		from, to := 0, 0
		for i := 0; i < len(t.points); i += step {
			p := &t.points[i]
			for ; to < len(own) && own[to].at <= p.at-delay; to++ {
				h.Add(own[to].took, 1)
			}
			for ; from < to && own[from].at <= p.at-delay-window; from++ {
				h.Add(own[from].took, -1)
			}
			total++
			for k, q := range quantiles {
				if v, ok := h.Of(q); ok {
					pairs[k] = append(pairs[k], pair{p.value, v})
				}
			}
		}
	}
	out := make([]timesTiming, len(quantiles))
	for k, list := range pairs {
		out[k] = timesTiming{window: window, delay: delay, unit: 1, deviation: math.Inf(1)}
		if len(list) < gaugeLeast || float64(len(list)) < fewestTimed*float64(total) {
			continue
		}
		seen, told := 0.0, 0.0
		for _, x := range list {
			seen, told = seen+x.seen, told+x.told
		}
		if told > 0 && seen/told > 0.3*perMilli {
			out[k].unit = perMilli
		}
		sum := 0.0
		for _, x := range list {
			sum += math.Abs(x.seen - out[k].unit*x.told)
		}
		out[k].deviation = sum / float64(len(list))
	}
	return out
}

// timesCandidate is one hypothesis as a pipe.
func timesCandidate(of plant.Timed, quantile float64, buckets []float64, seen timesTiming) candidate {
	p := timesPipe(of, quantile, buckets, seconds(seen.window), seconds(seen.delay))
	if seen.unit != 1 {
		p.Times.Unit = seen.unit
	}
	return candidate{pipe: p, what: timesWords(p.Times), deviation: seen.deviation,
		seen: timing{window: seen.window, delay: seen.delay, deviation: seen.deviation, times: true}}
}

// timesPipe is a pipe that reads a time. A window reaches back over at most twelve scrapes.
func timesPipe(of plant.Timed, quantile float64, buckets []float64, window, delay time.Duration) plant.Pipe {
	return plant.Pipe{Times: &plant.Times{Of: of, Quantile: quantile, Buckets: buckets}, Over: plant.Max, Window: window,
		Delay: delay, Every: seconds(math.Max(1, math.Ceil((window+delay).Seconds()/12)))}
}

// timesWords names what a pipe of times reads.
func timesWords(t *plant.Times) string {
	if t.Quantile == 0 {
		return "mean " + t.Of.String()
	}
	return fmt.Sprintf("p%.4g of the %v", 100*t.Quantile, t.Of)
}

// timesPart returns the pipe of a query's part that reads a time. The log of the requests
// tells it, so that nothing need be recorded of it; the bounds of the histogram are those that
// were recorded, or those of vLLM for its metrics.
func (s *service) timesPart(x *keda.Part) (plant.Pipe, bool, notes) {
	var n notes
	of := timeNamed(x.Metric)
	if of == 0 {
		n.warn(
			"%s: hpatune does not know which time of a request %s measures, and the run did not record the query's value; "+
				"to replay it, record it: hpatune run --promql NAME=QUERY",
			x.Name,
			x.Metric,
		)
		return plant.Pipe{}, false, n
	}
	if len(s.timesOf(of)[all]) < fewestAnswers {
		n.warn("%s: the requests of the run have no %v (answers that do not stream have no first token)", x.Name, of)
		return plant.Pipe{}, false, n
	}
	buckets := s.recordedBuckets(x.Metric)
	if len(buckets) < 2 {
		if buckets = nil; strings.HasPrefix(x.Metric, "vllm") {
			if buckets = bucketsOfRequest; of == plant.ToFirst {
				buckets = bucketsOfFirst
			}
		}
	}
	window, every := x.Over, min(plant.DefaultEvery, x.Over/2)
	p := timesPipe(of, x.Quantile, buckets, window-every, every/2)
	p.Name = x.Name
	n.assume("%s is computed from the recorded requests (%s), as if Prometheus scraped the servers every %v", x.Name,
		timesWords(p.Times), every)
	return p, true, n
}
