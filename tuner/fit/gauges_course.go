package fit

import (
	"math"

	"github.com/hpatune/hpatune/results"
)

// weights is what a request adds to a quantity of its server.
type weights struct {
	waiting, running float64
	done             float64 // over its whole service: 1 = one completion, spread over the service
	arrived          float64 // when it arrives
	tokens           float64 // per token of its answer, spread over the service
	prompt           float64 // per token of its prompt, when its service starts
	held             float64 // per token that it holds in service: its prompt, and its answer so far
	oldest           bool    // not a sum: the age of the request that has waited longest
}

// rate reports whether the quantity is per second, and so has no value at an instant.
func (w *weights) rate() bool { return w.done+w.arrived+w.tokens+w.prompt > 0 }

// course is a quantity of each server over the run: its value at each instant of a grid, and
// its integral up to there.
type course struct {
	step    float64     // seconds between two instants; the first is at 0
	at, sum [][]float64 // by server
	allAt   []float64   // over all servers
	allSum  []float64
	pods    []float64 // number of pods
	oldest  bool      // it is an age; the pool's value is the largest one
}

const (
	courseStep  = 1     // seconds
	courseMost  = 40000 // instants; a longer run gets longer steps
	mostLooks   = 4000  // points to which a held series is filled up
	mostApart   = 600   // points used to find the phases of many pods
	apartSweeps = 4     // over all pods
	apartStarts = 4
	golden      = 0.618034 // of a full turn
)

// courseOf computes a quantity from the log and the fitted starts.
func (s *service) courseOf(w weights) *course { return s.courseBy(w, courseStep) }

// courseBy is courseOf in steps of so many seconds, or in multiples of it for a long run.
func (s *service) courseBy(w weights, step float64) *course {
	end := 1.0
	for i := range s.calls {
		end = math.Max(end, s.calls[i].done)
	}
	c := &course{step: step * math.Ceil(end/courseMost/step), oldest: w.oldest}
	n := int(end/c.step) + 2
	for k := range s.servers {
		at, sum := make([]float64, n), make([]float64, n)
		add := func(from, to, v float64) {
			if from = math.Max(0, from); v == 0 || to <= from {
				return
			}
			// The count at an instant includes calls that came by then and have not gone.
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
			if w.held > 0 {
				for j := max(0, int(math.Ceil(start/c.step))); j < n && float64(j)*c.step < x.done; j++ {
					part := (float64(j)*c.step - start) / math.Max(1e-3, x.done-start)
					at[j] += w.held * (x.prompt() + x.tokens*part)
				}
			}
			if w.oldest {
				for j := max(0, int(math.Ceil(x.sent/c.step))); j < n && float64(j)*c.step < start; j++ {
					at[j] = math.Max(at[j], float64(j)*c.step-x.sent)
				}
			}
		}
		for i := 1; (w.oldest || w.held > 0) && i < n; i++ {
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

// present returns how many pods exported metrics at each instant: those whose containers ran,
// or, if no pod was seen, all that ever answered.
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

// index returns the grid's last instant at or before a time.
func (c *course) index(at float64) int {
	return min(max(0, int(at/c.step+1e-6)), len(c.allAt)-1)
}

// instant returns the quantity at a time; server all = of all servers together.
func (c *course) instant(server int, at float64) float64 {
	if at < 0 {
		return 0
	}
	if server == all {
		return c.allAt[c.index(at)]
	}
	return c.at[server][c.index(at)]
}

// mean returns its mean over a non-empty span of time.
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
