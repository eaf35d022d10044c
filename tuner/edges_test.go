package tuner

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestRank(t *testing.T) {
	vs := []float64{1, 2, 3, 4}
	for q, want := range map[float64]float64{0: 1, 0.25: 1, 0.26: 2, 0.5: 2, 0.75: 3, 1: 4} {
		if got := rank(vs, q); got != want {
			t.Errorf("rank(%v, %v) = %v, want %v", vs, q, got, want)
		}
	}
}

func TestMean(t *testing.T) {
	if got := mean([]float64{1, 2, 6}); got != 3 {
		t.Errorf("mean = %v, want 3", got)
	}
	if got := mean(nil); !math.IsNaN(got) {
		t.Errorf("mean of none = %v, want NaN", got)
	}
	if got := ratio(0.5, 1); got != 0.5 {
		t.Errorf("ratio(0.5, 1) = %v", got)
	}
	if got := ratio(1, -1); got != -1 {
		t.Errorf("ratio(1, −1) = %v", got)
	}
}

func TestPositive(t *testing.T) {
	for _, c := range []struct {
		v    any
		want bool
	}{{int32(1), true}, {int32(0), false}, {int32(-1), false}, {0.5, true}, {time.Duration(0), false}, {500 * time.Millisecond, true}, {int64(2), true}, {"text", false}, {nil, false}} {
		if _, ok := positive(c.v); ok != c.want {
			t.Errorf("positive(%v) = %v, want %v", c.v, ok, c.want)
		}
	}
}

func TestRound(t *testing.T) {
	if got := round(math.NaN(), 1); got != -1 {
		t.Errorf("round(NaN) = %v, want −1", got)
	}
	if got := round(2.6, 1); got != 3 {
		t.Errorf("round(2.6, 1) = %v, want 3", got)
	}
}

// A target of one thousandth is not lowered further.
func TestASmallTarget(t *testing.T) {
	c := hpa.DefaultConfig(10)
	c.Metrics = []hpa.Metric{{Source: hpa.Pods, Name: "queue", Target: hpa.Target{AverageMilli: 1}}}
	_, targets := Space{}.targets(&c)
	if targets[0] != int64(1) || len(targets) != 7 {
		t.Errorf("targets %v, want 1 to begin with", targets)
	}
}

func TestTypicalOfOne(t *testing.T) {
	if got := typical([]float64{7}); got.Value != 7 {
		t.Errorf("typical of one = %v, want 7", got.Value)
	}
}
