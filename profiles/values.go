package profiles

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
)

// Rate is arrivals per second, written "5/s", "300/m" or "90/h".
type Rate float64

// maxRate is far beyond what a machine can send, and keeps sums finite.
const maxRate Rate = 1e7

// ParseRate reads a rate. "0" needs no unit.
func ParseRate(s string) (Rate, error) {
	s = strings.TrimSpace(s)
	number, unit, ok := strings.Cut(s, "/")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, &source.Hint{Text: fmt.Sprintf("%q is not a rate", short(s)), Try: "5/s, 300/m or 0.5/s"}
	}
	per, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	switch {
	case !ok && v == 0:
		return 0, nil
	case !ok:
		return 0, &source.Hint{Text: fmt.Sprintf("rate %s has no unit", short(s)), Try: short(s) + "/s"}
	case !known:
		return 0, &source.Hint{
			Text: fmt.Sprintf("rate %s is per %q, should be per s, m or h", short(s), short(unit)),
			Try:  short(number) + "/s",
		}
	case v < 0:
		return 0, &source.Hint{Text: fmt.Sprintf("rate %s is negative", short(s)), Try: short(strings.TrimPrefix(s, "-"))}
	}
	r := Rate(v / per)
	if r > maxRate {
		return 0, &source.Hint{
			Text: fmt.Sprintf("rate %s is above %.0f/s", short(s), float64(maxRate)),
			Try:  "a rate that one machine can send",
		}
	}
	return r, nil
}

// UnmarshalText reads what ParseRate does.
func (r *Rate) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRate(string(b))
	return err
}

// String returns the rate per second: "5/s".
func (r Rate) String() string { return strconv.FormatFloat(float64(r), 'g', 6, 64) + "/s" }

// Ratio is a share from 0 to 1, written "50%" or 0.5.
type Ratio float64

// UnmarshalText reads a percentage or a plain number from 0 to 1.
func (r *Ratio) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return &source.Hint{Text: fmt.Sprintf("%q is not a share from 0%% to 100%%", short(s)), Try: "50%"}
	}
	*r = Ratio(v)
	return nil
}

// Tokens is the number of tokens of a request: Mean if CV is 0, otherwise drawn for each
// arrival from a gamma distribution of that mean and coefficient of variation (CV 1 is
// exponential, as measured output lengths nearly are), rounded, at least 1. Mean 0 = not
// set: the protocol's own body, the server's own limit.
//
// Rounding up to 1 raises the mean if it is small: by 0.04 at mean 10, CV 1.
type Tokens struct {
	Mean float64
	CV   float64
}

// UnmarshalSource reads 512 or {mean: 512, cv: 1}.
func (t *Tokens) UnmarshalSource(v source.Value) {
	if _, ok := v.Scalar(); ok {
		var n int32
		v.Decode(&n)
		t.Mean = float64(n)
		return
	}
	v.Decode(&struct {
		Mean *float64 `json:"mean"`
		CV   *float64 `json:"cv"`
	}{&t.Mean, &t.CV})
}

// Law is how the gaps between arrivals are distributed.
type Law string

// The laws. The zero value is Poisson.
const (
	Poisson Law = "poisson"
	Even    Law = "constant"
	Gamma   Law = "gamma"
)

// Process is a law and its coefficient of variation (of gamma gaps: above 1
// burstier than Poisson, below 1 smoother).
type Process struct {
	Law Law
	CV  float64
}

// UnmarshalSource reads constant, poisson or {gamma: {cv: 2}}.
func (p *Process) UnmarshalSource(v source.Value) {
	if s, ok := v.Scalar(); ok {
		switch Law(s) {
		case Poisson, Even:
			p.Law = Law(s)
		case Gamma:
			v.Problem("gamma arrivals need a cv", "{gamma: {cv: 2}}")
		default:
			try := "constant, poisson or {gamma: {cv: 2}}"
			if near := source.Nearest(s, []string{string(Poisson), string(Even)}); near != "" {
				try = near
			}
			v.Problem(fmt.Sprintf("arrivals %q are unknown", short(s)), try)
		}
		return
	}
	type gamma struct {
		CV float64 `json:"cv"`
	}
	var m struct {
		Gamma    *gamma    `json:"gamma"`
		Poisson  *struct{} `json:"poisson"`
		Constant *struct{} `json:"constant"`
	}
	v.Decode(&m)
	switch {
	case m.Gamma != nil && m.Poisson == nil && m.Constant == nil:
		*p = Process{Gamma, m.Gamma.CV}
	case m.Poisson != nil && m.Gamma == nil && m.Constant == nil:
		p.Law = Poisson
	case m.Constant != nil && m.Gamma == nil && m.Poisson == nil:
		p.Law = Even
	default:
		v.Problem("arrivals should be one of constant, poisson and gamma", "{gamma: {cv: 2}}")
	}
}

// short shortens a value that is quoted in a text.
func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:37], "") + "..."
	}
	return s
}
