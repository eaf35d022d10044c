package recorded

import (
	"strings"
	"testing"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/results"
)

func TestControllerFlags(t *testing.T) {
	for _, tt := range []struct {
		text string
		want results.HPAContext
		says string // of the error; "" = none
	}{
		{"", results.HPAContext{SyncPeriodS: 15, Tolerance: 0.1, Assumed: true}, ""},
		{"syncPeriod=5s,downscaleStabilization=30s", results.HPAContext{SyncPeriodS: 5, DownscaleStabilizationS: 30, Tolerance: 0.1}, ""},
		{"tolerance=0.05", results.HPAContext{SyncPeriodS: 15, Tolerance: 0.05}, ""},
		{"syncPeriod=5", results.HPAContext{}, "not a duration"},
		{"tolerance=-1", results.HPAContext{}, "a ratio"},
		{"sync=5s", results.HPAContext{}, "want syncPeriod"},
	} {
		h := results.HPAContext{SyncPeriodS: 15, Tolerance: 0.1, Assumed: true}
		err := ControllerFlags(tt.text, &h)
		switch {
		case tt.says == "" && (err != nil || h != tt.want):
			t.Errorf("ControllerFlags(%q) = %+v, %v; want %+v", tt.text, h, err, tt.want)
		case tt.says != "" && (failure.Of(err) != failure.Input || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("ControllerFlags(%q) = %v, want an error of the input that says %q", tt.text, err, tt.says)
		}
	}
}
