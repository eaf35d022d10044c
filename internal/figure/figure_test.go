package figure

import (
	"math"
	"testing"
	"time"
)

func TestFiguresForPeople(t *testing.T) {
	for _, c := range []struct {
		sentence string
		x        float64
		unit     string
		want     string
	}{
		{"less than ten milliseconds have a digit more", 0.0004, Seconds, "0.4 ms"},
		{"milliseconds are whole", 0.4119, Seconds, "412 ms"},
		{"seconds have three digits", 1.236, Seconds, "1.24 s"},
		{"and ten of them as well", 12.36, Seconds, "12.4 s"},
		{"minutes are whole seconds", 125, Seconds, "2 m 05 s"},
		{"hours are whole minutes", 3725, Seconds, "1 h 02 m"},
		{"no time is no time", 0, Seconds, "0 s"},
		{"what never comes", math.Inf(1), Seconds, "never"},
		{"what was not measured", math.NaN(), Seconds, Dash},
		{"a mean of whole numbers is whole", 1.0000000000000002, Count, "1"},
		{"one that is not has three digits", 1.05, Count, "1.05"},
		{"a share has three digits", 0.8646, Ratio, "86.5 %"},
		{"whole percents stay whole", 0.5, Ratio, "50 %"},
		{"small shares are told from none", 0.00421, Ratio, "0.42 %"},
		{"and large ones from all", 0.99954, Ratio, "99.95 %"},
		{"never rounded up to all", 0.999999, Ratio, "99.999 %"},
		{"all is all", 1, Ratio, "100 %"},
		{"a negative share", -0.131, Ratio, "−13.1 %"},
		{"a count is whole", 2, Count, "2"},
		{"a mean of counts has three digits", 2.345, Count, "2.35"},
		{"large counts have commas", 12345, Count, "12,345"},
		{"hours", 12.34, Hours, "12.3 h"},
		{"rates", 40.71, PerSec, "40.7/s"},
		{"dollars", 1.239, "USD", "$1.24"},
		{"dollars where nobody said a currency", 511, USD, "$511"},
		{"euros", 1.239, "EUR", "€1.24"},
		{"cents of a euro", 0.0412, "EUR", "€0.0412"},
		{"a currency without a sign", 12300, "CHF", "CHF 12,300"},
	} {
		if got := Of(c.x, c.unit); got != c.want {
			t.Errorf("%s: Of(%v, %q) = %q, want %q", c.sentence, c.x, c.unit, got, c.want)
		}
	}
	for _, c := range []struct {
		x    float64
		unit string
		want string
	}{
		{-0.131, Ratio, "−13.1 pt"}, {0.0042, Ratio, "+0.42 pt"}, {0.000001, Ratio, "±0"}, {21.4, Seconds, "+21.4 s"}, {0, Count, "±0"},
		{-10.33, "EUR", "−€10.33"}, {0, "CHF", "±0"}, {math.Inf(1), Seconds, "+never"},
	} {
		if got := Difference(c.x, c.unit); got != c.want {
			t.Errorf("Difference(%v, %q) = %q, want %q", c.x, c.unit, got, c.want)
		}
	}
}

func TestDurationsAreWrittenAsPeopleWriteThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "30s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 90 * time.Minute: "1h30m",
		10*time.Hour + 10*time.Minute: "10h10m", -time.Minute: "-1m", 500 * time.Millisecond: "500ms", 0: "0s", time.Hour + time.Second: "1h0m1s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}

func TestMany(t *testing.T) {
	for n, want := range map[int]string{0: "0 requests", 1: "1 request", 2: "2 requests"} {
		if got := Many(n, "request"); got != want {
			t.Errorf("Many(%d) = %q, want %q", n, got, want)
		}
	}
}
