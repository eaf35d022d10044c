package loadgen

import (
	"sync"
	"time"
)

// A deadline ends a request whose answer is overdue. It has one timer per request. Progress
// only changes a number, which the timer reads when it fires, so a token costs no timer.
type deadline struct {
	cancel func(error)
	mu     sync.Mutex
	timer  *time.Timer
	at     time.Time
	why    error
}

// set moves the deadline.
func (d *deadline) set(at time.Time, why error) {
	d.mu.Lock()
	d.at, d.why = at, why
	if d.timer == nil {
		d.timer = time.AfterFunc(time.Until(at), d.fire)
	} else if d.timer.Stop() {
		d.timer.Reset(time.Until(at))
	}
	d.mu.Unlock()
}

// later moves the deadline to a later instant, without touching the timer.
func (d *deadline) later(at time.Time, why error) {
	d.mu.Lock()
	d.at, d.why = at, why
	d.mu.Unlock()
}

func (d *deadline) fire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if left := time.Until(d.at); left > 0 {
		d.timer.Reset(left)
		return
	}
	d.cancel(d.why)
}

func (d *deadline) stop() {
	d.mu.Lock()
	d.timer.Stop()
	d.mu.Unlock()
}
