package plant

// push and pop keep serving a heap ordered by finish, then by arrival.
func (s *server) push(c call) {
	s.serving = append(s.serving, c)
	h := s.serving
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !sooner(&h[i], &h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (s *server) pop() call {
	h := s.serving
	top := h[0]
	n := len(h) - 1
	h[0] = h[n]
	h = h[:n]
	for i := 0; ; {
		k := 2*i + 1
		if k >= n {
			break
		}
		if k+1 < n && sooner(&h[k+1], &h[k]) {
			k++
		}
		if !sooner(&h[k], &h[i]) {
			break
		}
		h[i], h[k] = h[k], h[i]
		i = k
	}
	s.serving = h
	return top
}

func sooner(a, b *call) bool {
	if a.finish != b.finish {
		return a.finish < b.finish
	}
	return a.index < b.index
}
