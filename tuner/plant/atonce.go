package plant

// AtOnce returns the law of a replica that serves `by` more requests at once (fewer if
// negative). ok is false if l does not say how many it serves, or if none would be left.
//
// The stretch of k requests in service, k·Rate[1]/Rate[k], is extrapolated along the line
// through its last two values; the rate never falls. A law of iterations gets that many more
// places, and its table is played again.
func (l *Law) AtOnce(by int) (out Law, ok bool) {
	n := l.Slots() + by
	if n < 1 {
		return Law{}, false
	}
	if it := l.Iterations; it != nil {
		if it.Seqs <= 0 || it.Seqs+by < 1 {
			return Law{}, false
		}
		other := *it
		other.Seqs += by
		law := LanguageLaw(other, l.Times)
		law.Queue, law.Timeout, law.FirstToken = l.Queue, l.Timeout, l.FirstToken
		law.Quota, law.Young = l.Quota, l.Young
		return law, true
	}
	out = *l
	out.Rate = append([]float64(nil), l.Rate[:min(n, l.Slots())+1]...)
	stretch := func(k int) float64 { return float64(k) * out.Rate[1] / out.Rate[k] }
	for len(out.Rate) <= n {
		k := len(out.Rate)
		s := stretch(k - 1)
		if k > 2 {
			s += max(0, s-stretch(k-2))
		}
		out.Rate = append(out.Rate, max(out.Rate[k-1], float64(k)*out.Rate[1]/s))
	}
	return out, true
}
