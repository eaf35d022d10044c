package tuner

import (
	"strings"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit"
)

func TestARefusalSaysWhatToTurnOnWhereBackendsAreHidden(t *testing.T) {
	off, far := 0.5, 0.3
	for _, row := range []struct {
		name string
		self SelfReplay
	}{
		{"sizes are not met", SelfReplay{Verdict: "fail", ReplicaHoursError: &off}},
		{"latencies are not met", SelfReplay{Verdict: "fail", Attainment: &off, AttainmentError: &far}},
		{"a doubt of its own", SelfReplay{Verdict: "pass"}},
	} {
		f := Fitted{Hidden: true, SelfReplay: row.self}
		if row.self.Verdict == "pass" {
			f.Doubts = []fit.Doubt{{ID: "hidden-backends", SettledBy: fit.ShowBackends}}
		}
		no, bad := unfit(&f)
		if !bad || !strings.Contains(no.SettledBy, "connections.backend_header") {
			t.Errorf("%s: refusal %+v, want one that names connections.backend_header", row.name, no)
		}
	}
	if no, _ := unfit(&Fitted{SelfReplay: SelfReplay{Verdict: "fail", ReplicaHoursError: &off}}); strings.Contains(no.SettledBy, "backend_header") {
		t.Errorf("visible backends: settled by %q, want nothing of a header", no.SettledBy)
	}
}
