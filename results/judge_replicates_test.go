package results

import "testing"

func TestJudgeReplicatesFigure(t *testing.T) {
	of := func(values ...float64) (replicates [][]Judgement) {
		for _, v := range values {
			replicates = append(replicates, []Judgement{{Value: &v, Verdict: Pass, N: 10}})
		}
		return replicates
	}
	for _, tt := range []struct {
		name, objective string
		values          []float64
		want            float64
	}{
		{"one bad day does not carry a time along", "ttft.p95 < 4s", []float64{1, 1, 2, 3, 30}, 2},
		{"of an even number the two in the middle are halved", "time_to_capacity < 60s", []float64{1, 1, 2, 4, 5, 30}, 3},
		{"the interval holds a mean that one replicate moved", "error_rate < 1%", append(make([]float64, 19), 0.2), 0.01},
		{"a share is the mean over all requests", "error_rate < 1%", []float64{0, 0, 0, 0, 0.5}, 0.1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := ParseObjective(tt.objective)
			if err != nil {
				t.Fatal(err)
			}
			j := JudgeReplicates([]Objective{o}, of(tt.values...))[0]
			if j.Value == nil || *j.Value != tt.want {
				t.Errorf("figure %v, want %v", j.Value, tt.want)
			} else if *j.Lo > *j.Value || *j.Hi < *j.Value {
				t.Errorf("figure %v is outside its interval, %v to %v", *j.Value, *j.Lo, *j.Hi)
			}
		})
	}
}
