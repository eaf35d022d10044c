package scenario

import (
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestParseRelease(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int // -1 = refused
	}{
		{"", 0}, {"1.33", 33}, {"v1.33.4", 33}, {"33", 33}, {"1.30+", 30}, {"v1.37.0-alpha.1", 37},
		{"1.29", -1}, {"1.38", -1}, {"2.33", -1}, {"latest", -1}, {"1.", -1},
	} {
		got, err := ParseRelease(tt.text)
		if (err != nil) != (tt.want < 0) || err == nil && got != tt.want {
			t.Errorf("ParseRelease(%q) = %d, %v; want %d", tt.text, got, err, tt.want)
		}
	}
}

func TestFollow(t *testing.T) {
	s := Scenario{Params: hpa.DefaultParams()}
	s.Follow(0)
	if s.Params.Release != hpa.DefaultParams().Release {
		t.Errorf("Follow(0) changed the release to %d", s.Params.Release)
	}
	s.Params.Tolerance = 0.2
	s.Follow(32)
	if s.Params.Release != 32 || s.Params.Gates != hpa.ParamsFor(32).Gates || s.Params.Tolerance != 0.2 {
		t.Errorf("Follow(32) = %+v; want the gates of 1.32 and the tolerance kept", s.Params)
	}
}
