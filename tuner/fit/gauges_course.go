package fit

import (
	"math"

	"github.com/hpatune/hpatune/results"
)

// weights are what a request adds to a quantity of its server.
type weights struct {
	waiting, running float64
	done             float64 // over its whole service: 1 = a completion, spread over the service
	arrived          float64 // when it comes
	tokens           float64 // of each that it is answered, spread over the service
	prompt           float64 // of each that it asks, when it is begun
	oldest           bool    // not a sum: the age of the one that has waited longest
}

// rate reports whether it is of what happens in a second: it has no value at an instant.
func (w *weights) rate() bool { return w.done+w.arrived+w.tokens+w.prompt > 0 }

// course is a quantity of each server over the run: on a grid of instants what it
// was, and its integral up to each.
type course struct {
	step    float64     // seconds between two instants; the first is 0
	at, sum [][]float64 // by server
	allAt   []float64   // over all servers
	allSum  []float64
	pods    []float64 // that there were
	oldest  bool      // it is an age, of which the pool's is the largest
}

const (
	courseStep  = 0.5   // seconds: half a usual step of scrapes
	courseMost  = 40000 // instants, beyond which the steps are longer
	mostLooks   = 4000  // points that a held series is filled up to
	mostApart   = 600   // points that phases of many pods are sought by
	apartSweeps = 4     // over all pods
	apartStarts = 4
	golden      = 0.618034 // of a circle
)

// courseOf plays the log by the fitted starts.
func (s *service) courseOf(w weights) *course {
	end := 1.0
	for i := range s.calls {
		end = math.Max(end, s.calls[i].done)
	}
	c := &course{step: math.Max(courseStep, math.Ceil(end/courseMost)), oldest: w.oldest}
	n := int(end/c.step) + 2
	for k := range s.servers {
		at, sum := make([]float64, n), make([]float64, n)
		add := func(from, to, v float64) {
			if from = math.Max(0, from); v == 0 || to <= from {
				return
			}
			// A count at an instant is of those that came by then and have not gone.
			i, j := int(math.Ceil(from/c.step)), int(math.Ceil(to/c.step))
			for x := i; x < j && x < n; x++ {
				at[x] += v
			}
			for x := int(from / c.step); x < n-1 && float64(x)*c.step < to; x++ {
				lo, hi := math.Max(from, float64(x)*c.step), math.Min(to, float64(x+1)*c.step)
				sum[x+1] += v * (hi - lo)
			}
		}
		happens := func(when, v float64) {
			if x := int(when / c.step); v != 0 && when >= 0 && x+1 < n {
				sum[x+1] += v
			}
		}
		for _, i := range s.servers[k].calls {
			x, start := &s.calls[i], s.start[i]
			add(x.sent, start, w.waiting)
			add(start, x.done, w.running+(w.done+w.tokens*x.tokens)/math.Max(1e-3, x.done-start))
			happens(x.sent, w.arrived)
			happens(start, w.prompt*x.prompt())
			if w.oldest {
				for j := max(0, int(math.Ceil(x.sent/c.step))); j < n && float64(j)*c.step < start; j++ {
					at[j] = math.Max(at[j], float64(j)*c.step-x.sent)
				}
			}
		}
		for i := 1; w.oldest && i < n; i++ {
			sum[i] = (at[i-1] + at[i]) / 2 * c.step
		}
		for i := 1; i < n; i++ {
			sum[i] += sum[i-1]
		}
		c.at, c.sum = append(c.at, at), append(c.sum, sum)
	}
	c.allAt, c.allSum, c.pods = make([]float64, n), make([]float64, n), s.present(n, c.step)
	for k := range c.at {
		for i := range n {
			c.allAt[i] += c.at[k][i]
			c.allSum[i] += c.sum[k][i]
		}
	}
	return c
}

// present is how many pods told their metrics at each instant: those whose containers
// ran, or, where no pod was seen, all that ever answered.
func (s *service) present(n int, step float64) []float64 {
	out := make([]float64, n)
	seen := 0
	for _, p := range s.lives {
		from, to := p.started, p.gone
		if !results.Happened(from) {
			from = p.ready
		}
		if !results.Happened(from) {
			continue
		}
		if !results.Happened(to) {
			to = p.ended
		}
		seen++
		last := n
		if results.Happened(to) {
			last = min(n, int(math.Ceil(to.Seconds()/step)))
		}
		for i := max(0, int(math.Ceil(from.Seconds()/step))); i < last; i++ {
			out[i]++
		}
	}
	for i := range out {
		if seen == 0 {
			out[i] = float64(len(s.servers))
		}
		out[i] = math.Max(1, out[i])
	}
	return out
}

// index is the grid's last instant at or before a time.
func (c *course) index(at float64) int {
	return min(max(0, int(at/c.step+1e-6)), len(c.allAt)-1)
}

// instant is the quantity at a time; of all servers together for server all.
func (c *course) instant(server int, at float64) float64 {
	if at < 0 {
		return 0
	}
	if server == all {
		return c.allAt[c.index(at)]
	}
	return c.at[server][c.index(at)]
}

// mean is its mean over a stretch of time that is not empty.
func (c *course) mean(server int, from, to float64) float64 {
	sum := c.allSum
	if server != all {
		sum = c.sum[server]
	}
	until := func(at float64) float64 {
		if at <= 0 {
			return 0
		}
		i := c.index(at)
		if i+1 >= len(sum) {
			return sum[len(sum)-1]
		}
		return sum[i] + (sum[i+1]-sum[i])*(at/c.step-float64(i))
	}
	return (until(to) - until(from)) / (to - from)
}
