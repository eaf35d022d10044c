package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
)

// FitSchema is the version of `fit -o json`.
const FitSchema = "hpatune.fit/v1"

// Fitted is what `hpatune fit` prints, as JSON. nil = the log does not contain it.
type Fitted struct {
	Schema   string   `json:"schema"`
	Run      string   `json:"run"`
	Law      FitLaw   `json:"law"`
	Holdout  *Holdout `json:"holdout"`
	Warnings []string `json:"warnings"`
}

// FitLaw is the law in numbers. Seconds; tokens.
type FitLaw struct {
	Name      string     `json:"name"` // iterations, batch, slots
	Words     string     `json:"words"`
	AlphaS    *float64   `json:"alpha_s"` // to own_s: null where the log has no token counts
	BetaS     *float64   `json:"beta_s"`
	GammaS    *float64   `json:"gamma_s"`
	DeltaS    *float64   `json:"delta_s"`
	OwnS      *float64   `json:"own_s"`
	ServiceS  *float64   `json:"service_mean_s"` // of a request by itself, by slots; else null
	Batch     *int       `json:"batch_tokens"`   // an iteration at most; null = no bound was seen
	Seqs      *int       `json:"max_sequences"`  // at once; null = not seen to bind
	SeqsMost  int        `json:"sequences_seen"`
	KV        *int       `json:"kv_tokens"` // null = not seen to bind
	Ahead     bool       `json:"scheduled_ahead"`
	Terms     []FitTerm  `json:"terms"`
	Error     *float64   `json:"error"` // mean |ln(predicted/measured)|; null by slots
	N         int        `json:"n"`
	Rivals    []FitRival `json:"rivals"`
	Unsure    []string   `json:"unsure"`
	LoadClass []FitLoad  `json:"load_classes"`
}

// FitTerm is one coefficient.
type FitTerm struct {
	Name     string   `json:"name"`
	Value    float64  `json:"value"`
	StdError *float64 `json:"std_error"`
	Unit     string   `json:"unit"`
}

// FitRival is a simpler law that explains less.
type FitRival struct {
	Name  string  `json:"name"`
	Error float64 `json:"error"`
}

// FitLoad is how well the law fits when From to To requests were inside.
type FitLoad struct {
	From      int      `json:"from"`
	To        int      `json:"to"`
	N         int      `json:"n"`
	TTFT      *float64 `json:"ttft_p50_s"`
	Predicted *float64 `json:"predicted_ttft_p50_s"`
}

// Holdout is how well the law fits the requests to which it was not fitted.
type Holdout struct {
	Share      float64         `json:"share"`
	N          int             `json:"n"`
	Preempted  int             `json:"preemptions"`
	Figures    []HoldoutFigure `json:"figures"`
	FiguresAll []HoldoutFigure `json:"figures_all"`
}

// HoldoutFigure is one figure, predicted and measured; null = cannot be given.
type HoldoutFigure struct {
	Name      string   `json:"name"`
	Predicted *float64 `json:"predicted"`
	Actual    *float64 `json:"actual"`
	Unit      string   `json:"unit"`
	N         int      `json:"n"`
	// Proves is false where the measured share is 0 or 1.
	Proves bool `json:"proves"`
}

// FittedOf lays out a law and its holdout; h may be nil.
func FittedOf(run string, l *fit.LLM, h *fit.Holdout) Fitted {
	out := Fitted{Schema: FitSchema, Run: run, Warnings: append([]string{}, l.Warnings...)}
	f := &out.Law
	*f = FitLaw{Name: l.Name, Words: lawWords(l),
		Batch: positive(l.Law.Batch), Seqs: positive(l.Law.Seqs), KV: positive(l.Law.KV), SeqsMost: l.Most,
		Ahead: l.Law.Ahead, Error: finite(l.Error), N: l.N,
		Unsure: append([]string{}, l.Unsure...), Terms: []FitTerm{}, Rivals: []FitRival{}, LoadClass: []FitLoad{}}
	if l.Slots != nil {
		mean := 0.0
		for _, t := range l.Slots.Times {
			mean += t.Total / float64(len(l.Slots.Times))
		}
		f.Seqs, f.ServiceS = positive(l.Slots.Slots()), &mean
	} else {
		f.AlphaS, f.BetaS, f.GammaS, f.DeltaS, f.OwnS = &l.Law.Alpha, &l.Law.Beta, &l.Law.Gamma, &l.Law.Delta, &l.Law.Own
	}
	for _, t := range l.Terms {
		f.Terms = append(f.Terms, FitTerm{t.Name, t.Value, finite(t.StdError), t.Unit})
	}
	for _, r := range l.Rivals {
		f.Rivals = append(f.Rivals, FitRival(r))
	}
	for _, c := range l.Classes {
		f.LoadClass = append(f.LoadClass, FitLoad{c.From, c.To, c.N, finite(c.TTFT), finite(c.Predicted)})
	}
	if h != nil {
		figures := func(in []fit.HoldoutFigure) []HoldoutFigure {
			var out []HoldoutFigure
			for i := range in {
				x := &in[i]
				out = append(out, HoldoutFigure{x.Name, finite(x.Predicted), finite(x.Actual), x.Unit, x.N, x.N > 0 &&
					!x.ProvesNothing()})
			}
			return out
		}
		out.Holdout = &Holdout{h.Share, h.N, h.Preempted, figures(h.Figures), figures(h.FiguresAll)}
	}
	return out
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func positive(n int) *int {
	if n <= 0 {
		return nil
	}
	return &n
}

// lawWords is the law in a sentence.
func lawWords(l *fit.LLM) string {
	if l.Slots != nil {
		total := make([]float64, len(l.Slots.Times))
		for i, t := range l.Slots.Times {
			total[i] = t.Total
		}
		return fmt.Sprintf("%d requests at once; a request that does not wait takes %s (p50), %s (p95)", l.Slots.Slots(),
			seconds(results.Percentile(total, 0.5)), seconds(results.Percentile(total, 0.95)))
	}
	s := fmt.Sprintf("an iteration (one pass over the batch) takes %s", tiny(l.Law.Alpha))
	for _, t := range []struct {
		v    float64
		what string
	}{{l.Law.Beta, "answer"}, {l.Law.Gamma, "prompt token"}, {l.Law.Delta, "token of context"}} {
		if t.v > 0 {
			s += fmt.Sprintf(" + %s per %s", tiny(t.v), t.what)
		}
	}
	if l.Law.Batch > 0 {
		s += fmt.Sprintf("; at most %d tokens per iteration", l.Law.Batch)
	}
	if l.Law.Seqs > 0 {
		s += fmt.Sprintf(", at most %d requests at once", l.Law.Seqs)
	}
	if l.Law.KV > 0 {
		s += fmt.Sprintf(", at most %d tokens of context", l.Law.KV)
	}
	return s
}

// unitFor is the unit in which a time of s seconds reads well, and how many of it are
// in a second.
func unitFor(s float64) (unit string, perSecond float64) {
	switch {
	case s < 1e-6:
		return "ns", 1e9
	case s < 1e-3:
		return "µs", 1e6
	case s < 1:
		return "ms", 1e3
	}
	return "s", 1
}

// tiny prints a time down to nanoseconds.
func tiny(s float64) string {
	unit, scale := unitFor(s)
	return fmt.Sprintf("%.3g %s", s*scale, unit)
}

// FitText prints a law, how good it is and what it predicts.
func FitText(w io.Writer, f Fitted) error {
	p := printerTo(w)
	l := &f.Law
	p.line("Model of a replica (%s): %s.", l.Name, l.Words)
	p.line("")
	var rows [][]string
	if len(l.Terms) > 0 {
		rows = append(rows, []string{"", "value", "± standard error", ""})
	}
	for _, t := range l.Terms {
		v, e := "none", dash
		if t.Value != 0 {
			unit, scale := unitFor(t.Value)
			v = fmt.Sprintf("%.3g %s", t.Value*scale, unit)
			switch {
			case t.StdError == nil:
			case *t.StdError > t.Value:
				e = "more than the value"
			default:
				e = fmt.Sprintf("%.2g %s", *t.StdError*scale, unit)
			}
		}
		rows = append(rows, []string{t.Name, v, e, strings.TrimPrefix(t.Unit, "s ")})
	}
	if len(rows) > 0 {
		p.table(rows)
		p.line("")
	}
	if l.Error != nil {
		p.line(
			"Fitted to %s; predicted times are off by a factor of %.3f on average.",
			figure.Many(l.N, "request"),
			math.Exp(*l.Error),
		)
	} else {
		p.line("Fitted to %s that did not wait.", figure.Many(l.N, "request"))
	}
	for _, r := range l.Rivals {
		p.line("  For comparison, a %s model: off by a factor of %.3f.", r.Name, math.Exp(r.Error))
	}
	for _, u := range l.Unsure {
		p.line("  Not known from this run: %s.", u)
	}
	if len(l.LoadClass) > 0 {
		p.line("")
		rows = [][]string{{"requests in the server", "n", "TTFT p50", "predicted"}}
		for _, c := range l.LoadClass {
			inside := fmt.Sprint(c.From)
			if c.To > c.From {
				inside = fmt.Sprintf("%d–%d", c.From, c.To)
			}
			rows = append(rows, []string{inside, fmt.Sprint(c.N), quantity(c.TTFT, "s"), quantity(c.Predicted, "s")})
		}
		p.table(rows)
	}
	if h := f.Holdout; h != nil {
		p.line("")
		p.line("Holdout: the model is fitted to the first %s of %s, and then predicts all of them, beginning with an "+
			"empty server.", figure.Percent(h.Share), figure.Many(h.N, "request"))
		rows = [][]string{{"", "last third, predicted", "measured", "all, predicted", "measured"}}
		for i := range h.Figures {
			a, b := &h.Figures[i], &h.FiguresAll[i]
			note := ""
			if b.N > 0 && !b.Proves {
				note = "all requests or none: this tests nothing"
			} else if a.N > 0 && !a.Proves {
				note = "last third: all requests or none, this tests nothing"
			}
			rows = append(rows, append([]string{a.Name, quantity(a.Predicted, a.Unit), quantity(a.Actual, a.Unit),
				quantity(b.Predicted, b.Unit), quantity(b.Actual, b.Unit)}, notes(note)...))
		}
		p.table(rows)
	}
	return p.err
}
