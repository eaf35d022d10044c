package sandbox

import (
	"testing"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// The demo's load stays within what the test bed can carry truthfully, and is
// long enough to show a scale-down behind a window of five minutes.
func TestDemoProfile(t *testing.T) {
	for name, text := range map[string][]byte{"demo": DemoProfile, "demo-keda": DemoProfileKEDA} {
		t.Run(name, func(t *testing.T) { judgeDemo(t, name, text) })
	}
}

func judgeDemo(t *testing.T, name string, text []byte) {
	p, err := profiles.Parse(name+".yaml", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != name {
		t.Errorf("its name is %q", p.Name)
	}
	service := DefaultService()
	class := p.Classes[0]
	first, total := service.hold(256, 60)
	if total != 6656*time.Millisecond || service.Slots != 8 {
		t.Errorf("%d slots for %v each; the profile's comment says 8 for 6.66 s", service.Slots, total)
	}
	if class.Name != "answer" || p.Target.Model != service.Model {
		t.Errorf("class %q of model %q, want answer of %q", class.Name, p.Target.Model, service.Model)
	}
	if wall := float64(p.Peak()) * MaxSpeed; wall > maxRequestsPerSec {
		t.Errorf("peak of %v requests/s of wall time at speed %d, want at most %d", wall, MaxSpeed, maxRequestsPerSec)
	}
	events := 2 + (60+service.perEvent()-1)/service.perEvent()
	if wall := float64(p.Peak()) * MaxSpeed * float64(events); wall > 10_000 {
		t.Errorf("peak of %v events/s of wall time, want at most 10,000", wall)
	}
	if d := p.Duration(); d < 840*time.Second {
		t.Errorf("it lasts %v, want 840 s at least", d)
	}
	last := p.Preview(1).Stages[len(p.Stages)-1]
	if quiet := last.ToS - last.FromS; quiet < 300+60 {
		t.Errorf("quiet for %v s, want the window of 300 s and a minute", quiet)
	}
	objectives, err := results.ParseObjectives(p.Objectives)
	if err != nil {
		t.Fatal(err)
	}
	if limit := results.LimitsOf(objectives).TTFT; limit < 2*time.Second || first*2 > limit {
		t.Errorf("TTFT limit %v, want 2 s at least and twice the unloaded %v", limit, first)
	}
}
