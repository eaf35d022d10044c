package report

import (
	"fmt"

	"github.com/hpatune/hpatune/tuner"
)

// zeroFact is one figure of a size of zero.
type zeroFact struct {
	Name  string
	Value span
}

// zeroHead says in one sentence whether a size of zero is worth it.
func zeroHead(z *tuner.Zero) string {
	word := map[tuner.ZeroVerdict]string{
		tuner.ZeroAdvised: "recommended", tuner.ZeroNot: "not recommended", tuner.ZeroRefused: "not possible",
	}[z.Verdict]
	return fmt.Sprintf("Scale to zero (%s: 0): %s. Reason: %s", z.Path, word, z.Why)
}

// zeroFacts are the figures of a size of zero; none where it is not possible.
func zeroFacts(r *tuner.Recommendation) []zeroFact {
	z := r.Zero
	if z == nil || z.Verdict == tuner.ZeroRefused {
		return nil
	}
	wait := "the first request waits"
	lost := "requests lost while no pod is ready"
	if z.AtZero == tuner.AtZeroRefuse {
		wait = "the first request would wait, if held"
		lost = "requests refused while no pod is ready"
	}
	return []zeroFact{
		{"saved per month", interval(z.SavedUSDMonth, r.Price.Currency)},
		{"replica-hours saved", interval(z.SavedHours, "")},
		{"hours at zero", interval(z.HoursAtZero, "")},
		{"times woken", interval(z.Wakes, "")},
		{wait, interval(z.FirstWait, "s")},
		{lost, interval(z.Lost, "")},
		{"within limits", interval(z.Attainment, "ratio")},
	}
}

// zero writes what a size of zero would do.
func (p *printer) zero(r *tuner.Recommendation) {
	if r.Zero == nil {
		return
	}
	p.line("\n%s", zeroHead(r.Zero))
	facts := zeroFacts(r)
	if len(facts) == 0 {
		return
	}
	p.line("  Compared with: %s", r.Zero.Against)
	p.line("  While no pod is ready, a request is: %s", met(r.Zero.AtZero))
	rows := make([][]string, len(facts))
	for i, f := range facts {
		rows[i] = []string{f.Name, f.Value.String()}
	}
	p.table(rows)
}

// met says in words what a request meets at zero.
func met(atZero string) string {
	if atZero == tuner.AtZeroRefuse {
		return "refused (profile: at_zero)"
	}
	return "held for up to " + atZero[len("hold "):] + " (profile: at_zero)"
}
