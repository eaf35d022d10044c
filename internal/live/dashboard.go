package live

// dashboard draws on a terminal until Close.
func (l *Live) dashboard() { l.lines() }
