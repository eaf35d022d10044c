package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/layout"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// ExplainText prints one decision per line; a quiet one only if its explanation is new.
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
		at := fmt.Sprintf("%8s  %-8s ", RunTime(math.Round(l.T)), size)
		_, err := io.WriteString(w, layout.Hang(at, l.Explanation+note, layout.Width(w))+"\n")
		return err
	}
}

// PreviewText writes a profile's stages, counts and a sketch of its rate.
func PreviewText(out io.Writer, profile *profiles.Profile, v profiles.Preview) error {
	p := printerTo(out)
	p.line("%s: %d requests in %s, %.4g/s at the peak\n", profile.Name, v.Arrivals,
		figure.Duration(profile.Duration().Round(time.Second)), float64(profile.Peak()))
	p.write(profile.Sketch(min(72, p.width-8), 10) + "\n")
	rows := [][]string{{"stage", "shape", "from", "to", "requests"}}
	for _, st := range v.Stages {
		note := ""
		if st.Warmup {
			note = "warm-up"
		}
		rows = append(rows, append([]string{st.Name, string(st.Shape), RunTime(st.FromS), RunTime(st.ToS),
			fmt.Sprint(st.Arrivals)}, notes(note)...))
	}
	p.table(rows)
	return p.err
}

// Checked is what `hpatune profile check -o json` prints.
type Checked struct {
	Problems source.Problems `json:"problems"`
	Notes    []string        `json:"notes"`
}

// CheckedText writes what was found in the profiles called names.
func CheckedText(w io.Writer, names []string, c Checked) error {
	p := printerTo(w)
	for _, note := range c.Notes {
		p.write(note + "\n")
	}
	if len(c.Problems) > 0 {
		p.write(c.Problems.Error() + "\n") // a line each, to be read by editors
	} else {
		p.write(strings.Join(names, ", ") + ": no problems\n")
	}
	return p.err
}

// ProfilesText lists profiles: their length, their peak, and what each is about.
func ProfilesText(w io.Writer, list []Listed) error {
	p := printerTo(w)
	widest := 0
	for _, l := range list {
		widest = max(widest, len(l.Name))
	}
	for _, l := range list {
		at := fmt.Sprintf("%-*s  %-7s  peak %-6s  ", widest, l.Name, figure.Duration(l.Profile.Duration().Round(time.Second)),
			fmt.Sprintf("%.3g/s", float64(l.Profile.Peak())))
		p.write(layout.Hang(at, l.About, p.width) + "\n")
	}
	return p.err
}

// Listed is a profile with a sentence on it.
type Listed struct {
	Name, About string
	Profile     *profiles.Profile
}

// RunTime prints seconds of run time for people: 90 → "1m30s", 0.0123 → "12ms".
func RunTime(s float64) string {
	to := time.Second / 10
	if s < 10 {
		to = time.Millisecond
	}
	return (time.Duration(s * float64(time.Second))).Round(to).String()
}
