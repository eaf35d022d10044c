package fit

import (
	"github.com/hpatune/hpatune/tuner/plant"
)

// slowing looks whether services take longer the more slots are busy, and bends
// the law where they clearly do.
func (f *fitting) slowing(slots int) {
	if slots < 3 {
		return
	}
	// The mean number in service beside a request, from its start on, as seen
	// when it came: enough to tell a law from a constant.
	byClass := map[int16]float64{}
	n := map[int16]int{}
	for i := range f.served {
		if c := &f.served[i]; c.ok && c.done > c.start {
			byClass[c.class] += (c.done - c.start) / max(1, c.tokens)
			n[c.class]++
		}
	}
	sum, count := make([]float64, slots+1), make([]float64, slots+1)
	for i := range f.served {
		c := &f.served[i]
		if !c.ok || c.done <= c.start || n[c.class] == 0 {
			continue
		}
		k := min(c.inside+1, slots)
		sum[k] += (c.done - c.start) / max(1, c.tokens) / (byClass[c.class] / float64(n[c.class]))
		count[k]++
	}
	var xs, ys, ws []float64
	for k := 1; k <= slots; k++ {
		if count[k] >= 10 {
			xs, ys, ws = append(xs, float64(k)), append(ys, sum[k]/count[k]), append(ws, count[k])
		}
	}
	if len(xs) < 3 {
		return
	}
	a, b := line(xs, ys, ws)
	low, high := a+b, a+b*float64(slots)
	f.quality("slowing", high/low, len(f.served), "service time with all slots busy over that with one")
	if low <= 0 || high/low < 1.15 {
		return
	}
	mean := meanTotal(f.w.Service.Times)
	at := 0.0 // the stretch that the sample was measured at
	for k := range xs {
		at += ys[k] * ws[k]
	}
	total := 0.0
	for _, w := range ws {
		total += w
	}
	at /= total
	for i := 1; i <= slots; i++ {
		stretch := (a + b*float64(i)) / at
		f.w.Service.Rate[i] = max(f.w.Service.Rate[i-1], float64(i)/(mean*stretch))
	}
}

// line is weighted least squares: y = a + b·x.
func line(xs, ys, ws []float64) (a, b float64) {
	var w, x, y, xx, xy float64
	for i := range xs {
		w += ws[i]
		x += ws[i] * xs[i]
		y += ws[i] * ys[i]
		xx += ws[i] * xs[i] * xs[i]
		xy += ws[i] * xs[i] * ys[i]
	}
	if d := w*xx - x*x; d > 0 {
		b = (w*xy - x*y) / d
	}
	return (y - b*x) / w, b
}

// ownTimes notes each arrival's own service time where it was measured, so that
// a replay of the run itself meets the same requests. What those beside it
// stretched it by is taken out: the replay stretches it again.
func (f *fitting) ownTimes() {
	known := map[int]plant.ServiceTime{}
	law := &f.w.Service
	mean := meanTotal(law.Times)
	for i := range f.served {
		if c := &f.served[i]; c.ok && c.done > c.start {
			k := min(c.inside+1, law.Slots())
			by := max(1, float64(k)/(law.Rate[k]*mean))
			known[c.request.Arrival] = plant.ServiceTime{Class: c.class, First: max(0, c.first-c.start) / by, Total: (c.done - c.start) / by, Tokens: c.tokens}
		}
	}
	f.w.Demand.Times = make([]plant.ServiceTime, len(f.w.Demand.Arrivals))
	for i, a := range f.w.Demand.Arrivals {
		f.w.Demand.Times[i] = known[a.Index]
	}
}
