package keda

import (
	"fmt"
	"regexp"
	"time"
	_ "time/tzdata" // time zones do not depend on the machine

	"github.com/robfig/cron/v3" // KEDA's own
)

// Cron is a cron trigger: a number of replicas between two times of the day.
type Cron struct {
	Start, End string // schedules of five fields
	Timezone   string // of the IANA database: Europe/Berlin
	Desired    float64
}

// schedules reads schedules as KEDA does: no seconds, no @daily.
var schedules = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// CheckSchedule returns why KEDA refuses a schedule, or nil.
func CheckSchedule(text string) error {
	_, err := schedules.Parse(text)
	return err
}

// Span is a period of run time: from From until before To.
type Span struct{ From, To time.Duration }

// Spans are the stretches between 0 and until in which the trigger is active, where run
// time 0 is the instant began. At the minute of Start it is active, at that of End no
// longer. The error is KEDA's: then the trigger fails at every look.
//
// Source: pkg/scalers/cron_scaler.go, GetMetricsAndActivity: it is active where the
// next end comes no later than the next start.
func (c *Cron) Spans(began time.Time, until time.Duration) ([]Span, error) {
	in, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return nil, fmt.Errorf("timezone %q is not known", c.Timezone)
	}
	start, err := schedules.Parse(c.Start)
	if err != nil {
		return nil, err
	}
	end, err := schedules.Parse(c.End)
	if err != nil {
		return nil, err
	}
	out := []Span{}
	for now := began.In(in); now.Sub(began) < until; {
		first, last := start.Next(now), end.Next(now) // zero = never
		active := first.Before(last) && now.After(first) && now.Before(last) ||
			!first.Before(last) && (now.After(first) || now.Before(last))
		next := earlier(first, last)
		to := until
		if !next.IsZero() {
			to = min(next.Sub(began), until)
		}
		if from := now.Sub(began); active && len(out) > 0 && out[len(out)-1].To == from {
			out[len(out)-1].To = to
		} else if active {
			out = append(out, Span{from, to})
		}
		if next.IsZero() {
			break
		}
		now = next
	}
	return out, nil
}

// At is the trigger's value at an instant: Desired while it is active, else 0. The error is
// that of Spans.
func (c *Cron) At(now time.Time) (float64, error) {
	spans, err := c.Spans(now, time.Nanosecond)
	if err != nil || len(spans) == 0 {
		return 0, err
	}
	return c.Desired, nil
}

// earlier is the earlier of two times; a zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// scheduled is how KEDA names a cron trigger's metric.
var scheduled = regexp.MustCompile(`^s[0-9]+-cron-`)

// Scheduled reports whether an External metric belongs to a cron trigger: its target is
// always 1 per replica, and it does not depend on the load.
func Scheduled(metric string) bool { return scheduled.MatchString(metric) }
