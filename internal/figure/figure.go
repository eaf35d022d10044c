// Package figure formats numbers for people. It is the only place that decides on
// digits, units and currency signs, so that a number looks the same everywhere.
package figure

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Dash stands for what was not measured.
const Dash = "—"

// Units of figures, beside currencies, which stand as their ISO 4217 code (EUR).
const (
	Seconds = "s"
	Ratio   = "ratio" // of 1, printed in percent
	Hours   = "h"     // replica-hours
	PerSec  = "per_s"
	Count   = ""
	USD     = "usd" // money whose currency nobody said
)

// Of prints x in its unit, scaled for people: "never" for an infinity, "—" for NaN.
func Of(x float64, unit string) string {
	switch {
	case math.IsNaN(x):
		return Dash
	case math.IsInf(x, 0):
		return "never"
	}
	switch unit {
	case Seconds:
		return Time(x)
	case Ratio:
		return Percent(x)
	case PerSec:
		return Digits(x) + "/s"
	case Hours:
		return Digits(x) + " h"
	case Count:
		return Digits(x)
	}
	return Money(x, unit)
}

// Time prints a duration of x seconds: 0.4 ms, 412 ms, 1.24 s, 12.4 s, 2 m 05 s.
func Time(x float64) string {
	sign := ""
	if x < 0 {
		sign, x = "−", -x
	}
	switch {
	case x == 0:
		return "0 s"
	case x < 0.00995:
		return fmt.Sprintf("%s%.2g ms", sign, x*1e3)
	case x < 0.9995:
		return fmt.Sprintf("%s%.0f ms", sign, x*1e3)
	case x < 9.995:
		return fmt.Sprintf("%s%.2f s", sign, x)
	case x < 99.95:
		return fmt.Sprintf("%s%.1f s", sign, x)
	}
	return sign + Clock(x)
}

// Clock prints an instant, x seconds into a run: 45 s, 2 m 05 s, 1 h 02 m.
func Clock(x float64) string {
	s := int(math.Round(math.Abs(x)))
	sign := ""
	if x < 0 && s > 0 {
		sign = "−"
	}
	switch {
	case s < 60:
		return fmt.Sprintf("%s%d s", sign, s)
	case s < 3600:
		return fmt.Sprintf("%s%d m %02d s", sign, s/60, s%60)
	}
	return fmt.Sprintf("%s%d h %02d m", sign, s/3600, s%3600/60)
}

// Duration prints a duration as people write it in profiles and flags: 30s, 5m, 1h30m.
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Percent prints a ratio in percent, with as many digits as tell it from 0 and
// from 100 %, and at least three: 0.42 %, 5.2 %, 86.5 %, 99.95 %. It is never
// rounded to 100 %.
func Percent(x float64) string {
	p := math.Abs(x * 100)
	sign := ""
	if x < 0 {
		sign = "−"
	}
	digits := 1
	switch {
	case p > 99.99 && p < 100:
		p, digits = math.Floor(p*1000)/1000, 3
	case p < 1 || p > 99 && p < 100:
		digits = 2
	case p >= 1000:
		digits = 0
	}
	return sign + fixed(p, digits) + " %"
}

// Change prints a relative change with its sign: +1.6 %, −3.2 %, ±0.
func Change(x float64) string {
	switch {
	case x > 0:
		return "+" + Percent(x)
	case x < 0:
		return Percent(x)
	}
	return "±0"
}

// Points prints a difference of two ratios in percentage points: 13.1 pt.
func Points(x float64) string {
	sign := ""
	if x < 0 {
		sign = "−"
	}
	p := math.Abs(x * 100)
	if p < 1 {
		return sign + fixed(p, 2) + " pt"
	}
	return sign + fixed(p, 1) + " pt"
}

// fixed prints a number with this many decimals, without trailing zeros.
func fixed(x float64, digits int) string {
	s := fmt.Sprintf("%.*f", digits, x)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// signs are the currencies with a sign of their own.
var signs = map[string]string{"": "$", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}

// Sign is what stands before an amount of a currency: "$", or "CHF ".
func Sign(currency string) string {
	code := strings.ToUpper(currency)
	if s, ok := signs[code]; ok {
		return s
	}
	return code + " "
}

// Money prints an amount of a currency, an ISO 4217 code: $0.0412, €1.24, CHF 511,
// ¥12,300. No code means US dollars.
func Money(x float64, currency string) string {
	sign := ""
	if x < 0 {
		sign, x = "−", -x
	}
	sign += Sign(currency)
	switch {
	case x == 0:
		return sign + "0"
	case x < 0.1:
		return fmt.Sprintf("%s%.4f", sign, x)
	case x < 1000:
		return strings.TrimSuffix(fmt.Sprintf("%s%.2f", sign, x), ".00")
	}
	return sign + thousands(x)
}

func thousands(x float64) string {
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Digits prints a plain number with three significant digits.
func Digits(x float64) string {
	a := math.Abs(x)
	s := ""
	switch {
	case math.Abs(a-math.Round(a)) < 1e-9 && a < 1000: // a mean of whole numbers has its rounding
		s = fmt.Sprintf("%.0f", a)
	case a < 10:
		s = fmt.Sprintf("%.2f", a)
	case a < 100:
		s = fmt.Sprintf("%.1f", a)
	default:
		s = thousands(a)
	}
	if x < 0 {
		return "−" + s
	}
	return s
}

// Many prints a count with what is counted: 1 request, 2 requests.
func Many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Difference prints a difference with its sign: +1.24 s, −€3, ±0; of ratios in
// points.
func Difference(x float64, unit string) string {
	s := Of(math.Abs(x), unit)
	if unit == Ratio {
		s = Points(math.Abs(x))
	}
	switch {
	case !strings.ContainsAny(s, "123456789") && !math.IsInf(x, 0):
		return "±0"
	case x < 0:
		return "−" + s
	}
	return "+" + s
}
