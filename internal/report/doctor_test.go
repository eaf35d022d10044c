package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hpatune/hpatune/internal/doctor"
)

func TestDoctorPageFits(t *testing.T) {
	two := int32(2)
	bad := doctor.HPA{Name: "a-namespace-of-some-length/an-endpoint-with-a-long-name", Target: "Deployment/an-endpoint-with-another-name", Min: 1, Max: 10, Now: &two,
		Findings: []doctor.Finding{{ID: "max-beyond-nodes", Severity: doctor.Error, HPA: "x", Object: "Deployment/ml/x", Why: strings.Repeat("long words ", 30), Fix: "less"},
			{ID: "no-behavior", Severity: doctor.Info, Why: "defaults", Fix: "write it"}}}
	fine := doctor.HPA{Name: "shop/web", Target: "Deployment/web", Min: 2, Max: 8}
	for _, columns := range []int{80, 100, 120, 140} {
		var out bytes.Buffer
		if err := DoctorText(&out, &Doctor{HPAs: []doctor.HPA{bad, fine}, Live: true, Width: columns}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > columns && !strings.HasPrefix(line, "All of one") && !strings.Contains(line, "→") {
				t.Errorf("at %d columns, a line of %d: %s", columns, n, line)
			}
			if line != strings.TrimRight(line, " \n")+"\n" || strings.Contains(line, "\x1b") {
				t.Errorf("blanks at the end or colour where nothing is a terminal: %q", line)
			}
		}
		for _, want := range []string{"error ", "max-beyond-nodes", "shop/web", "1–10", "1 · 1", "Fix: less", "1 with errors, 1 healthy", "hpatune doctor -n NAMESPACE NAME"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("at %d columns %q is missing:\n%s", columns, want, &out)
			}
		}
		if strings.Contains(out.String(), "write it") {
			t.Errorf("of many HPAs, notes are shown in full:\n%s", &out)
		}
	}
	var out bytes.Buffer
	if err := DoctorText(&out, &Doctor{HPAs: []doctor.HPA{bad}, One: true, Live: true, Width: 80}); err != nil || !strings.Contains(out.String(), "write it") {
		t.Errorf("of one HPA, not all is shown: %v\n%s", err, &out)
	}
	out.Reset()
	if err := DoctorText(&out, &Doctor{Live: true, Where: "in namespace x", Width: 80}); err != nil || !strings.Contains(out.String(), "No HorizontalPodAutoscaler in namespace x") || !strings.Contains(out.String(), "doctor -A") {
		t.Errorf("without an HPA: %v\n%s", err, &out)
	}
	out.Reset()
	if err := json.NewEncoder(&out).Encode((&Doctor{Live: true}).JSON()); err != nil || strings.Contains(out.String(), "null") {
		t.Errorf("json without an HPA has a null for a list: %v\n%s", err, &out)
	}
}

// errWriter fails as a closed pipe does.
type errWriter struct{}

func (errWriter) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestDoctorPageReportsAFailedWrite(t *testing.T) {
	if err := DoctorText(errWriter{}, &Doctor{Live: true, Width: 80}); err == nil {
		t.Error("a page that could not be written is no success")
	}
}
