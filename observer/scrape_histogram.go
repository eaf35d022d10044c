package observer

import (
	"maps"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// mean is a histogram's sum and count over slightly more than the last minute.
type mean struct{ points []meanPoint }

type meanPoint struct {
	at         time.Duration
	sum, count float64
}

// over takes the current sum and count, and returns the mean over the last minute; ok is
// false if nothing was observed in it, or the data is not that old. A count that falls
// means that the server restarted.
func (m *mean) over(p meanPoint) (v float64, window time.Duration, ok bool) {
	if n := len(m.points); n > 0 && p.count < m.points[n-1].count {
		m.points = nil
	}
	m.points = append(m.points, p)
	for len(m.points) > 2 && p.at-m.points[1].at >= meanOver {
		m.points = m.points[1:]
	}
	first := m.points[0]
	if p.at-first.at < meanOver*9/10 || p.count <= first.count {
		return 0, 0, false
	}
	return (p.sum - first.sum) / (p.count - first.count), p.at - first.at, true
}

// bucketed is a histogram at its last reading.
type bucketed struct {
	at, told time.Duration
	upTo     map[float64]float64 // cumulative counts by bound
}

// distribution records a histogram of a pod: its mean over the last minute, and its buckets
// from time to time. The counts of the series are added up.
func (r *scraping) distribution(pod, family string, rows []*dto.Metric, p *scrapedPod, at time.Duration) {
	sum, count, upTo := addUp(rows)
	if p.means[family] == nil {
		p.means[family] = &mean{}
	}
	if v, window, ok := p.means[family].over(meanPoint{at, sum, count}); ok && !math.IsNaN(v) {
		r.sample(pod, meanName(family), v, at, window)
	}
	if len(upTo) == 0 || len(upTo) > bucketsMost {
		return
	}
	b := p.buckets[family]
	inf := math.Inf(1)
	switch {
	case b == nil:
		b = &bucketed{told: at - bucketsEvery}
		p.buckets[family] = b
	case upTo[inf] < b.upTo[inf]: // it restarted, so the earlier counts are recorded first
		r.tellBuckets(pod, family, b)
	}
	b.at, b.upTo = at, upTo
	if at-b.told >= bucketsEvery {
		r.tellBuckets(pod, family, b)
	}
}

// addUp adds up the counts of several series of a histogram, by bound; +Inf has all.
func addUp(rows []*dto.Metric) (sum, count float64, upTo map[float64]float64) {
	upTo = map[float64]float64{}
	for _, m := range rows {
		h := m.GetHistogram()
		sum += h.GetSampleSum()
		count += float64(h.GetSampleCount())
		for _, b := range h.GetBucket() {
			if !math.IsInf(b.GetUpperBound(), 1) {
				upTo[b.GetUpperBound()] += float64(b.GetCumulativeCount())
			}
		}
	}
	if len(upTo) > 0 {
		upTo[math.Inf(1)] = count
	}
	return sum, count, upTo
}

// tellBuckets records a histogram's buckets, once for each reading.
func (r *scraping) tellBuckets(pod, family string, b *bucketed) {
	if b.told == b.at {
		return
	}
	b.told = b.at
	for _, le := range slices.Sorted(maps.Keys(b.upTo)) {
		r.sample(pod, bucketName(family, le), b.upTo[le], b.at, 0)
	}
}
