package profiles

import (
	"fmt"
	"strings"
	"testing"
)

func TestOverride(t *testing.T) {
	const text = `# A load of ours.
name: ours
target: {protocol: openai-chat, model: m} # ours
stages:
  # Calm.
  - {name: calm, rate: 60/m, duration: 1m}
  - {name: climb, ramp: {from: 1/s, to: 4/s}, duration: 1m} # and up
  - {name: waves, sine: {mean: 2/s, amplitude: 1/s, period: 1m}, duration: 1m}
  - {name: none, rate: 0, duration: 1s}
`
	p, err := Parse("p.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	q, data, err := p.With(Override{Model: "other:1", Path: "/v1/x", Rate: 40}, "p.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(q.Target.Model, q.Target.Path, *q.Stages[0].Rate, *q.Stages[1].Ramp, q.Stages[2].Sine.Mean, q.Stages[2].Sine.Amplitude, *q.Stages[3].Rate, q.Peak())
	if want := "other:1/v1/x10/s {10/s 40/s} 20/s 10/s 0/s 40/s"; got != want {
		t.Errorf("with a model, a path and a rate: %s, want %s", got, want)
	}
	for _, comment := range []string{"# A load of ours.", "# ours", "# Calm.", "# and up"} {
		if !strings.Contains(string(data), comment) {
			t.Errorf("comment %q is gone:\n%s", comment, data)
		}
	}
	if again, err := Parse("p.yaml", data, nil); err != nil || again.Peak() != 40 {
		t.Errorf("what is kept of it cannot be read again: %v", err)
	}
	if same, kept, err := p.With(Override{}, "p.yaml", []byte(text), nil); err != nil || same != p || string(kept) != text {
		t.Errorf("nothing changed, and yet: %v\n%s", err, kept)
	}
	bare, err := Parse("p.yaml", []byte("stages: [{rate: 1/s, duration: 1m}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if q, _, err := bare.With(Override{Model: "m"}, "p.yaml", []byte("stages: [{rate: 1/s, duration: 1m}]"), nil); err != nil || q.Target.Model != "m" {
		t.Errorf("a target that is not there is not made: %v", err)
	}
	quiet, err := Parse("p.yaml", []byte("stages: [{rate: 0, duration: 1m}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := quiet.With(Override{Rate: 5}, "p.yaml", []byte("stages: [{rate: 0, duration: 1m}]"), nil); err == nil {
		t.Error("nothing to scale, and no error")
	}
}
