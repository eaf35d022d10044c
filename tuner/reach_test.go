package tuner

import (
	"testing"

	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestCandidatesBeyondTheSamplesAreNotFormed(t *testing.T) {
	at := func(target int32) hpa.Config {
		c := hpa.DefaultConfig(5)
		c.Metrics[0].Target.Utilization = target
		return c
	}
	b := &bench{reach: func(c *hpa.Config) (fit.Extrapolation, string) {
		switch target := c.Metrics[0].Target.Utilization; {
		case target > 80:
			return fit.Unseen, "far"
		case target > 60:
			return fit.Doubtful, "less far"
		}
		return fit.Seen, ""
	}}
	got := ""
	for _, c := range b.reached([]hpa.Config{at(90), at(50), at(70), at(85), at(95)}) {
		got += Describe(c) + "; "
	}
	want := Describe(at(90)) + "; " + Describe(at(50)) + "; " + Describe(at(70)) + "; "
	if got != want {
		t.Errorf("candidates %s\nwant %s(the first is the present configuration and stays)", got, want)
	}
}
