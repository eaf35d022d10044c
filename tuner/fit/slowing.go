package fit

// slowed is the law's rates (completions a second by requests in service), bent
// where services clearly take longer the more slots are busy.
func slowed(s *service) ([]float64, notes) {
	var said notes
	slots, rate := s.law.Slots(), s.law.Rate
	if slots < 3 {
		return rate, said
	}
	// The mean number in service beside a request, from its start on, as seen
	// when it came: enough to tell a law from a constant.
	byClass := map[int16]float64{}
	n := map[int16]int{}
	for i := range s.calls {
		if c := &s.calls[i]; c.ok && c.done > s.start[i] {
			byClass[c.class] += (c.done - s.start[i]) / max(1, c.tokens)
			n[c.class]++
		}
	}
	sum, count := make([]float64, slots+1), make([]float64, slots+1)
	for i := range s.calls {
		c := &s.calls[i]
		if !c.ok || c.done <= s.start[i] || n[c.class] == 0 {
			continue
		}
		k := min(c.inside+1, slots)
		sum[k] += (c.done - s.start[i]) / max(1, c.tokens) / (byClass[c.class] / float64(n[c.class]))
		count[k]++
	}
	var xs, ys, ws []float64
	for k := 1; k <= slots; k++ {
		if count[k] >= 10 {
			xs, ys, ws = append(xs, float64(k)), append(ys, sum[k]/count[k]), append(ws, count[k])
		}
	}
	if len(xs) < 3 {
		return rate, said
	}
	a, b := line(xs, ys, ws)
	low, high := a+b, a+b*float64(slots)
	said.quality("slowing", high/low, len(s.calls), "service time with all slots busy over that with one")
	if low <= 0 || high/low < 1.15 {
		return rate, said
	}
	mean := meanTotal(s.law.Times)
	at := 0.0 // the stretch that the sample was measured at
	for k := range xs {
		at += ys[k] * ws[k]
	}
	total := 0.0
	for _, w := range ws {
		total += w
	}
	at /= total
	bent := make([]float64, slots+1)
	for i := 1; i <= slots; i++ {
		stretch := (a + b*float64(i)) / at
		bent[i] = max(bent[i-1], float64(i)/(mean*stretch))
	}
	return bent, said
}
