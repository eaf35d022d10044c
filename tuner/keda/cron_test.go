package keda

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCronSpans(t *testing.T) {
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	day := 24 * time.Hour
	for _, tt := range []struct {
		sentence, start, end, zone, began string
		until                             time.Duration
		want                              string
	}{
		{"office hours", "0 8 * * *", "0 18 * * *", "UTC", "2026-11-27T06:00:00Z", day, "[{2h0m0s 12h0m0s}]"},
		{"it begins within them", "0 8 * * *", "0 18 * * *", "UTC", "2026-11-27T09:30:00Z", day, "[{0s 8h30m0s} {22h30m0s 24h0m0s}]"},
		{"in another zone", "0 8 * * *", "0 18 * * *", "Europe/Berlin", "2026-11-27T06:00:00Z", day, "[{1h0m0s 11h0m0s}]"},
		{"over midnight", "0 22 * * *", "0 6 * * *", "UTC", "2026-11-27T23:00:00Z", day, "[{0s 7h0m0s} {23h0m0s 24h0m0s}]"},
		{"the minute itself counts", "0 8 * * *", "0 18 * * *", "UTC", "2026-11-27T08:00:00Z", time.Hour, "[{0s 1h0m0s}]"},
		{"and that of the end does not", "0 8 * * *", "0 18 * * *", "UTC", "2026-11-27T18:00:00Z", time.Hour, "[]"},
		{"on weekdays: a Friday's end, a Monday's start", "0 8 * * 1-5", "0 18 * * 1-5", "UTC", "2026-11-27T17:00:00Z", 3 * day, "[{0s 1h0m0s} {63h0m0s 72h0m0s}]"},
		{"the clocks go back in the night", "0 1 * * *", "0 4 * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 6 * time.Hour, "[{0s 3h30m0s}]"},
		{"an end that never comes, as KEDA's clock has it: never", "0 8 * * *", "0 0 30 2 *", "UTC", "2026-11-27T09:00:00Z", 2 * day, "[]"},
		{"a start that never comes: always", "0 0 30 2 *", "0 8 * * *", "UTC", "2026-11-27T09:00:00Z", day, "[{0s 24h0m0s}]"},
	} {
		c := Cron{Start: tt.start, End: tt.end, Timezone: tt.zone, Desired: 5}
		got, err := c.Spans(at(tt.began), tt.until)
		if text := fmt.Sprint(got); err != nil || text != tt.want {
			t.Errorf("%s: Spans = %s, %v; want %s", tt.sentence, text, err, tt.want)
		}
		// KEDA evaluates it again at each poll.
		for _, look := range []time.Duration{0, time.Minute, 59 * time.Minute, 5*time.Hour + time.Second} {
			in, _ := time.LoadLocation(tt.zone)
			now := at(tt.began).Add(look).In(in)
			first, _ := schedules.Parse(tt.start)
			last, _ := schedules.Parse(tt.end)
			from, to := first.Next(now), last.Next(now)
			want := now.After(from) || now.Before(to)
			if from.Before(to) {
				want = now.After(from) && now.Before(to)
			}
			is := false
			for _, s := range got {
				is = is || s.From <= look && look < s.To
			}
			if look < tt.until && is != want {
				t.Errorf("%s: active after %v: %v, and KEDA says %v", tt.sentence, look, is, want)
			}
		}
	}
	for _, tt := range []struct{ sentence, start, end, zone, says string }{
		{"an unknown zone", "0 8 * * *", "0 18 * * *", "Mars/Olympus", "Mars/Olympus"},
		{"an hour of 25", "0 25 * * *", "0 18 * * *", "UTC", "25"},
		{"a word for a schedule", "@daily", "0 18 * * *", "UTC", "descriptors"},
	} {
		c := Cron{Start: tt.start, End: tt.end, Timezone: tt.zone}
		if _, err := c.Spans(at("2026-11-27T06:00:00Z"), day); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: Spans: %v, want an error that says %q", tt.sentence, err, tt.says)
		}
	}
	if !Scheduled("s1-cron-UTC-08xxx-018xxx") || Scheduled("s0-prometheus") || Scheduled("orders-s1-cron-") {
		t.Error("Scheduled does not tell a cron trigger's metric")
	}
}
