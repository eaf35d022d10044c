package results

import (
	"testing"
	"time"
)

func TestAtZero(t *testing.T) {
	for _, x := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"", 0, true}, {"refuse", 0, true}, {"hold 60s", time.Minute, true}, {"hold 1m30s", 90 * time.Second, true},
		{"hold", 0, false}, {"hold 0s", 0, false}, {"hold -1s", 0, false}, {"hold 60", 0, false}, {"refuse 60s", 0, false},
		{"wait 60s", 0, false},
	} {
		if got, err := AtZero(x.text); got != x.want || (err == nil) != x.ok {
			t.Errorf("AtZero(%q) = %v, %v; want %v, ok %v", x.text, got, err, x.want, x.ok)
		}
	}
}
