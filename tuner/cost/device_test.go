package cost

import (
	"math"
	"slices"
	"testing"
)

func TestKnownAndCovered(t *testing.T) {
	price := Price{CPU: 1, RAM: 1, GPU: 2, Extended: map[string]float64{"example.com/fpga": 3}}
	cheap := Price{CPU: 1, RAM: 1}
	for _, c := range []struct {
		name           string
		r              Replica
		known, covered bool
		missing        []string // of cheap
	}{
		{"nothing", Replica{}, false, false, nil},
		{"CPU", Replica{CPUCores: 0.5}, true, true, nil},
		{"memory", Replica{MemoryGB: 0.5}, true, true, nil},
		{"a GPU", Replica{GPUs: 0.5}, true, true, []string{"GPU"}},
		{"an FPGA", Replica{Extended: map[string]float64{"example.com/fpga": 0.5}}, true, true, []string{"example.com/fpga"}},
		{"no GPU at all, and one FPGA", Replica{CPUCores: 1, Extended: map[string]float64{"example.com/fpga": 1}}, true, true, []string{"example.com/fpga"}},
		{"none of an FPGA", Replica{Extended: map[string]float64{"example.com/fpga": 0}}, true, true, nil},
		{"what has no price", Replica{GPUs: 1, Extended: map[string]float64{"example.com/npu": 1}}, true, false, []string{"GPU", "example.com/npu"}},
	} {
		if got := c.r.Known(); got != c.known {
			t.Errorf("%s: Known() = %v, want %v", c.name, got, c.known)
		}
		if got := price.Covers(c.r); got != c.covered {
			t.Errorf("%s: Covers = %v, want %v", c.name, got, c.covered)
		}
		if got := cheap.Missing(c.r); !slices.Equal(got, c.missing) {
			t.Errorf("%s: Missing = %q, want %q", c.name, got, c.missing)
		}
	}
	r := Replica{CPUCores: 3, MemoryGB: 5, GPUs: 7, Extended: map[string]float64{"example.com/fpga": 11}}
	if got := price.PerReplicaHour(r); got != 3+5+14+33 {
		t.Errorf("PerReplicaHour = %v, want 55", got)
	}
}

func TestTheBook(t *testing.T) {
	if d := DefaultPrice(); d.GPU != 0 || d.CPU != .031611 || d.RAM != .004237 {
		t.Errorf("the default is %+v, want OpenCost's without a GPU", d)
	}
	for name, want := range map[string][3]float64{
		"opencost-default": {.031611, .004237, .95}, "aws-fargate-us-east-1": {.04048, .004445, 0}, "gke-autopilot": {.0445, .0049, 0}, "gcp-g2-l4": {.0195, .0026, .587},
	} {
		if p, ok := PriceByName(name); !ok || [3]float64{p.CPU, p.RAM, p.GPU} != want {
			t.Errorf("%s is %+v, want %v", name, p, want)
		}
	}
	if _, ok := PriceByName("nobody"); ok {
		t.Error("a price that nobody wrote was found")
	}
}

func TestDevicesInAPriceFile(t *testing.T) {
	p, errs := PriceOf(map[string]any{"unit": "month", "CPU": 730, "RAM": 73.0, "nvidia.com/gpu": "1460", "example.com/fpga": 7.3, "example.com/npu": int64(146)})
	if len(errs) > 0 || math.Abs(p.CPU-1) > 1e-12 || math.Abs(p.RAM-0.1) > 1e-12 || math.Abs(p.GPU-2) > 1e-12 ||
		math.Abs(p.Extended["example.com/fpga"]-0.01) > 1e-12 || math.Abs(p.Extended["example.com/npu"]-0.2) > 1e-12 {
		t.Errorf("%+v, %v, want 1, 0.1, 2 and 0.01, 0.2 an hour", p, errs)
	}
	if p, errs := PriceOf(map[string]any{"unit": "hour", "example.com/fpga": 2.0}); len(errs) > 0 || p.Extended["example.com/fpga"] != 2 {
		t.Errorf("a device alone: %+v, %v", p, errs)
	}
	if _, errs := PriceOf(map[string]any{"unit": "hour", "CPU": 1, "example.com/fpga": -2.0}); len(errs) != 1 {
		t.Errorf("a negative device: %v, want one error", errs)
	}
}

func TestANode(t *testing.T) {
	r := Replica{CPUCores: 1, MemoryGB: 2}
	for _, c := range []struct {
		name string
		p    Price
		want float64
	}{
		{"as much as four replicas that fill it", Price{CPU: 0.05, RAM: 0.01}, 0.28},
		{"its own price", Price{CPU: 0.05, RAM: 0.01, Node: 0.31}, 0.31},
		{"a node for a dollar", Price{CPU: 0.05, RAM: 0.01, Node: 1}, 1},
	} {
		if got := c.p.PerNodeHour(r, 4); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: PerNodeHour = %v, want %v", c.name, got, c.want)
		}
	}
	if l4, _ := PriceByName("gcp-g2-l4"); !l4.Covers(Replica{GPUs: 1}) { // of 59 cents
		t.Errorf("no price of a GPU in %+v", l4)
	}
	p, errs := PriceOf(map[string]any{"unit": "month", "CPU": 730, "node": 1460, "example.com/fpga": 73})
	if len(errs) > 0 || p.Node != 2 || p.Extended["example.com/fpga"] != 0.1 {
		t.Errorf("a node of 1460 a month: %+v, %v, want 2 an hour", p, errs)
	}
}
