package plant

// due is when a call in service ends, in the server's virtual time. Heaps move these instead of
// the calls, which are ten times as large.
type due struct {
	finish float64
	index  int32 // of the request: an earlier one ends first
	call   int32 // index into server.calls
}

// push gives a call a place among those in service, and pop removes the one that ends first.
// serving is a heap ordered by finish, then by arrival.
func (s *server) push(c *call) {
	k := int32(len(s.calls))
	if n := len(s.vacant) - 1; n >= 0 {
		k, s.vacant = s.vacant[n], s.vacant[:n]
		s.calls[k] = *c
	} else {
		s.calls = append(s.calls, *c)
	}
	d := due{c.finish, c.index, k}
	s.serving = append(s.serving, d)
	h := s.serving
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !d.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = d
}

// pop returns the call that ends first. It is valid until the next push.
func (s *server) pop() *call {
	h := s.serving
	top := h[0].call
	n := len(h) - 1
	last := h[n]
	h = h[:n]
	for i := 0; n > 0; {
		k := 2*i + 1
		if k+1 < n && h[k+1].before(&h[k]) {
			k++
		}
		if k >= n || !h[k].before(&last) {
			h[i] = last
			break
		}
		h[i] = h[k]
		i = k
	}
	s.serving = h
	s.vacant = append(s.vacant, top)
	return &s.calls[top]
}

func (d *due) before(o *due) bool {
	if d.finish != o.finish {
		return d.finish < o.finish
	}
	return d.index < o.index
}
