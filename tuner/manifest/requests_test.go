package manifest

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseRequests(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Requests
		says string // of the error; "" = none
	}{
		{"", Requests{}, ""},
		{"cpu=500m, memory=2Gi", Requests{CPUMilli: 500, MemoryBytes: 2 << 30}, ""},
		{"nvidia.com/gpu=1,amd.com/gpu=2", Requests{GPUs: 3}, ""},
		{"example.com/fpga=2", Requests{Extended: map[string]float64{"example.com/fpga": 2}}, ""},
		{"cpu", Requests{}, "cpu is not a positive quantity"},
		{"cpu=0", Requests{}, "not a positive quantity"},
		{"memory=-1Gi", Requests{}, "not a positive quantity"},
		{"cpu=1,cpu=2", Requests{}, "cpu is written twice"},
		{"nvidia.com/gpu=500m", Requests{}, "only request whole devices"},
		{"gpu=1", Requests{}, "unknown resource \"gpu\""},
		{"/gpu=1", Requests{}, "unknown resource"},
	} {
		got, err := ParseRequests(tt.text)
		switch {
		case tt.says == "" && (err != nil || !reflect.DeepEqual(got, tt.want)):
			t.Errorf("ParseRequests(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
		case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("ParseRequests(%q) = %v, want an error that says %q", tt.text, err, tt.says)
		}
	}
}
