package report

import (
	"io"
	"strings"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// VerifyText writes predicted beside actual.
func VerifyText(w io.Writer, v Verified) error {
	p := printerTo(w)
	rows := [][]string{{"", "predicted", "actual", "error", "in interval"}}
	for _, f := range v.Figures {
		rows = append(
			rows,
			[]string{
				strings.ReplaceAll(f.Name, "_", " "),
				interval(f.Predicted, f.Unit).String(),
				quantity(f.Actual, f.Unit),
				off(f),
				yesNo(f.Within),
			},
		)
	}
	p.table(rows)
	if v.MeanAbsReplicas != nil {
		p.line(
			"  Replicas differ by %s on average and by %s at most.",
			quantity(v.MeanAbsReplicas, ""),
			quantity(v.MaxAbsReplicas, ""),
		)
	}
	return p.err
}

// yesNo prints an answer; a dash if there is none.
func yesNo(v *bool) string {
	switch {
	case v == nil:
		return dash
	case *v:
		return "yes"
	}
	return "no"
}

// off prints an error with its sign: in points of a ratio, in percent of hours
// and seconds, plainly of a count.
func off(f VerifiedFigure) string {
	if f.Error == nil {
		return dash
	}
	switch results.Unit(f.Unit) {
	case results.Ratio:
		return delta(&tuner.Interval{Value: *f.Error}, "ratio").Value
	case results.Count:
		return delta(&tuner.Interval{Value: *f.Error}, "").Value
	}
	return changed(f.Error)
}
