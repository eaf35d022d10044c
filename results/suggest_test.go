package results

import "testing"

func TestSuggest(t *testing.T) {
	r := scaled(0.5)
	r.Meta.Stages = []StageInfo{{Name: "hold", ToS: 100, Arrivals: 1000}}
	s, ok := Suggest(r)
	if !ok || s.Q.P95 <= 0 {
		t.Fatalf("Suggest = %+v, %v", s, ok)
	}
	o, err := ParseObjectives([]string{s.Objective})
	if err != nil || o[0].Limit < 2*s.Q.P95 {
		t.Errorf("objective %q, %v; want twice the p95 of %v s", s.Objective, err, s.Q.P95)
	}
	if s, ok := Suggest(&Run{}); ok {
		t.Errorf("a run without answers: %+v", s)
	}
}
