package results

import "time"

// Limits are what one request must meet to be good: the limits of the latency objectives,
// the tightest of each metric; 0 = none. A request is good if it was answered successfully
// and met all of them.
type Limits struct{ TTFT, ITL, TPOT, E2E, ICL, TTFTFromSent, E2EFromSent time.Duration }

// LimitsOf collects the limits of objectives.
func LimitsOf(objectives []Objective) Limits {
	var l Limits
	for _, o := range objectives {
		m := o.Of()
		if m == nil || m.Limit == nil || !o.upper() {
			continue
		}
		p := m.Limit(&l)
		if d := time.Duration(o.Limit * float64(time.Second)); *p == 0 || d < *p {
			*p = d
		}
	}
	return l
}

// Tightest returns the smallest limit; 0 = there is none.
func (l Limits) Tightest() time.Duration {
	least := time.Duration(0)
	for _, m := range latencies {
		if d := *m.Limit(&l); d != 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// Good reports whether r was answered successfully within all limits. A limit that does not
// apply to it (TTFT of an answer in one piece) counts as met.
func (l Limits) Good(r *Request) bool {
	if r.Outcome != OK {
		return false
	}
	for _, m := range latencies {
		limit := *m.Limit(&l)
		if limit == 0 {
			continue
		}
		if d, ok := m.OfRequest(r); ok && d > limit {
			return false
		}
	}
	return true
}

// missedBy reports whether a request that hpatune ended had already waited longer than a
// limit. It has then missed that limit, whatever would have followed.
func (l Limits) missedBy(r *Request) bool {
	for _, m := range latencies {
		if limit := *m.Limit(&l); limit > 0 && m.waited(r) > limit {
			return true
		}
	}
	return false
}

// waited is how long a request without an answer had waited for the latency when it ended;
// 0 if the wait had not started, or the latency is between tokens.
func (m *Metric) waited(r *Request) time.Duration {
	if m.waitsFrom == nil {
		return 0
	}
	if d, ok := m.OfRequest(r); ok { // the first token had come
		return d
	}
	d, _ := between(m.waitsFrom(r), r.Done)
	return max(d, 0)
}
