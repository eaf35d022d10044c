package countproxy

import (
	"testing"
	"time"
)

func TestMeanOfALevel(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	var l level
	l.add(1, at(0))
	l.add(3, at(5))
	l.add(-4, at(10))
	for _, row := range []struct {
		at, mean float64
		now      int64
	}{{5, 1.0 / 3, 4}, {10, 5.0/15 + 4*5.0/15, 0}, {15, 5.0/15 + 4*5.0/15, 0}, {20, 4 * 5.0 / 15, 0}, {24, 4 * 1.0 / 15, 0}, {30, 0, 0}} {
		c := level{now: l.now, steps: append([]step{}, l.steps...)}
		if row.at == 5 {
			c.now, c.steps = 4, c.steps[:2]
		}
		now, mean := c.read(at(row.at))
		if now != row.now || mean < row.mean-0.001 || mean > row.mean+0.001 {
			t.Errorf("at %v s: %d, mean %v, want %d and %.3f", row.at, now, mean, row.now, row.mean)
		}
	}
}
