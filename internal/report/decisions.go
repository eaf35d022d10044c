package report

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// ExplainText prints a decision a line; a quiet one only where its explanation
// is new.
func ExplainText(w io.Writer, all bool) func(*scenario.Line) error {
	last := ""
	return func(l *scenario.Line) error {
		if !all && !l.Scaled && l.Explanation == last {
			return nil
		}
		last = l.Explanation
		size := fmt.Sprintf("%d", l.Replicas)
		if l.Scaled {
			size = fmt.Sprintf("%d → %d", l.CurrentReplicas, l.Replicas)
		}
		note := ""
		if l.Diverged {
			note = "  (the recorded decision differs)"
		}
		_, err := fmt.Fprintf(w, "%8s  %-8s %s%s\n", RunTime(math.Round(l.T)), size, l.Explanation, note)
		return err
	}
}

// PreviewText writes a profile's stages, counts and a sketch of its rate.
func PreviewText(out io.Writer, p *profiles.Profile, v profiles.Preview) error {
	fmt.Fprintf(out, "%s: %d requests in %s, %.4g/s at the peak\n\n%s\n", p.Name, v.Arrivals,
		p.Duration().Round(time.Second), float64(p.Peak()), p.Sketch(72, 10))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stage\tshape\tfrom\tto\trequests\t\t")
	for _, st := range v.Stages {
		note := ""
		if st.Warmup {
			note = "warm-up"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t\n", st.Name, st.Shape, RunTime(st.FromS), RunTime(st.ToS),
			st.Arrivals, note)
	}
	return w.Flush()
}

// RunTime prints seconds of run time for people: 90 → "1m30s", 0.0123 → "12ms".
func RunTime(s float64) string {
	to := time.Second / 10
	if s < 10 {
		to = time.Millisecond
	}
	return (time.Duration(s * float64(time.Second))).Round(to).String()
}
