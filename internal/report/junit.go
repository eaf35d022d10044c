package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/results"
)

// The elements of JUnit's format that CI systems read.
type (
	suites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}
	suite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []suiteCase `xml:"testcase"`
	}
	suiteCase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Failure *message `xml:"failure"`
		Error   *message `xml:"error"`
		Skipped *message `xml:"skipped"`
		Out     string   `xml:"system-out,omitempty"`
	}
	message struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a run's trust and objectives as a test suite: a missed objective is a
// failure, an undecided one is skipped with the reason, and a run that is not valid
// evidence is an error.
func JUnit(w io.Writer, s results.Summary) error {
	out := suite{Name: "hpatune " + s.Run}
	trust := suiteCase{Class: "hpatune.trust", Name: "the run is valid evidence"}
	switch s.Trust.Verdict {
	case results.Invalid:
		trust.Error = &message{Message: "invalid", Text: s.Trust.Line()}
		out.Errors++
	case results.Unverified:
		trust.Skipped = &message{Message: "unverified: " + s.Trust.Line()}
		out.Skipped++
	}
	out.Cases = append(out.Cases, trust)
	for _, o := range s.Objectives {
		c := suiteCase{Class: "hpatune.objective", Name: o.Text}
		said := fmt.Sprintf("measured %s, n = %d", measured(o), o.N)
		if o.Replicates > 0 {
			said = fmt.Sprintf("predicted %s, n = %d in each of %d replicates", measured(o), o.N, o.Replicates)
		}
		if o.Note != "" {
			said += ": " + o.Note
		}
		switch o.Verdict {
		case results.Fail:
			c.Failure = &message{Message: said, Text: o.Text + ": " + said}
			out.Failures++
		case results.Inconclusive, results.Unknown:
			c.Skipped = &message{Message: string(o.Verdict) + ": " + said}
			out.Skipped++
		}
		out.Cases = append(out.Cases, c)
	}
	return out.write(w)
}

func (s suite) write(w io.Writer) error {
	s.Tests = len(s.Cases)
	b, err := xml.MarshalIndent(suites{Suites: []suite{s}}, "", "  ")
	if err != nil {
		return fmt.Errorf("report: junit: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	return err
}

// DoctorJUnit writes a case for each check of each HPA: failed with the finding, passed
// with an info as its output, or skipped if the check lacked a fact or is silenced. What
// could not be judged at all is skipped, too.
func DoctorJUnit(w io.Writer, p *Doctor) error {
	out := suite{Name: "hpatune doctor"}
	for i := range p.HPAs {
		h := &p.HPAs[i]
		for _, check := range doctor.Checks {
			c := suiteCase{Class: "hpatune.doctor." + h.Name, Name: check.ID}
			var failed, noted []string
			for _, f := range h.Findings {
				text := fmt.Sprintf("%s: %s. Fix: %s", f.Severity, f.Why, f.Fix)
				if f.File != "" {
					text = fmt.Sprintf("%s:%d: %s", f.File, f.Line, text)
				}
				switch {
				case f.ID != check.ID:
				case f.Severity == doctor.Info:
					noted = append(noted, text)
				default:
					failed = append(failed, text)
				}
			}
			switch {
			case len(failed) > 0:
				c.Failure = &message{Message: failed[0], Text: strings.Join(slices.Concat(failed, noted), "\n")}
				out.Failures++
			case !slices.Contains(h.Judged, check.ID):
				c.Skipped = &message{Message: "the check is silenced, or a fact that it needs is unknown"}
				out.Skipped++
			}
			if len(failed) == 0 {
				c.Out = strings.Join(noted, "\n")
			}
			out.Cases = append(out.Cases, c)
		}
	}
	for _, text := range p.NotJudged() {
		out.Cases = append(out.Cases, suiteCase{Class: "hpatune.doctor", Name: text, Skipped: &message{Message: text}})
		out.Skipped++
	}
	return out.write(w)
}
