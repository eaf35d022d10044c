package cost

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestWorkedExampleOfTheDocs(t *testing.T) {
	p := Price{CPU: 0.05, RAM: 0.01}
	r := Replica{CPUCores: 1, MemoryGB: 2}
	for _, c := range []struct {
		name     string
		replicas float64
		want     float64
	}{
		{"10 replicas at the ceiling", 10, 511},
		{"a floor of 2", 2, 102.20},
		{"none", 0, 0},
	} {
		if got := p.Month(r, c.replicas); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: Month(%+v, %v) = %v, want %v", c.name, r, c.replicas, got, c.want)
		}
	}
}

func TestPriceOf(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields map[string]any
		want   Price
		errs   string // words of the joined errors; "" = none
	}{
		{"OpenCost's strings, by the hour", map[string]any{"description": "ours", "CPU": "0.05", "RAM": "0.01", "unit": "hour", "date": "2026-11-01"},
			Price{Name: "ours", Date: "2026-11-01", Unit: "hour", CPU: 0.05, RAM: 0.01, Currency: "USD"}, ""},
		{"a month is 730 hours", map[string]any{"name": "m", "CPU": 36.5, "unit": "month", "currencyCode": "EUR"},
			Price{Name: "m", Unit: "hour", CPU: 0.05, Currency: "EUR"}, ""},
		{"no unit is refused, since OpenCost's files are hourly in one place and monthly in another", map[string]any{"CPU": 1.0}, Price{}, "unit: missing"},
		{"all problems at once", map[string]any{"CPU": "dear", "RAM": -1.0, "unit": "week"}, Price{}, "CPU: dear is not a number;RAM: -1 is not a price;unit: \"week\""},
		{"a node for nothing", map[string]any{"CPU": 0.05, "unit": "hour", "node": 0}, Price{}, "node: 0 would make nodes free"},
		{"a field in small letters is not free", map[string]any{"cpu": 0.05, "memory": 0.01, "GPU": 1.0, "unit": "hour"}, Price{},
			"cpu: unknown; write CPU;memory: unknown; write RAM"},
		{"fields of OpenCost that say nothing here", map[string]any{"CPU": 0.05, "unit": "hour", "provider": "custom", "spotCPU": "0.01", "storage": "0.0001"},
			Price{Unit: "hour", CPU: 0.05, Currency: "USD"}, ""},
		{"text that is none", map[string]any{"CPU": 0.05, "unit": 5, "name": []any{"a"}, "date": 5, "currencyCode": 5}, Price{},
			"unit: is 5, should be text;name: is [a], should be text;date: is 5;currencyCode: is 5"},
		{"a currency in words", map[string]any{"CPU": 0.05, "unit": "hour", "currencyCode": "euro"}, Price{}, "not a code of three letters"},
		{"nothing but a unit", map[string]any{"unit": "hour"}, Price{}, "all are 0 or missing"},
	} {
		got, errs := PriceOf(c.fields)
		if c.errs == "" {
			if err := errors.Join(errs...); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: PriceOf(%v) = %+v, %v, want %+v", c.name, c.fields, got, err, c.want)
			}
			continue
		}
		text := ""
		if err := errors.Join(errs...); err != nil {
			text = err.Error()
		}
		for want := range strings.SplitSeq(c.errs, ";") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: PriceOf(%v) says %q, want %q in it", c.name, c.fields, text, want)
			}
		}
	}
}

func TestPriceBookIsWhole(t *testing.T) {
	for _, name := range PriceNames() {
		p, ok := PriceByName(name)
		if !ok || p.Name == "" || p.Date == "" || p.Unit != "hour" || p.CPU <= 0 || p.RAM <= 0 || p.Currency == "" {
			t.Errorf("price %q is not whole: %+v", name, p)
		}
	}
}

func TestParse(t *testing.T) {
	p, err := Parse("ours.yaml", []byte("CPU: 0.05\nRAM: '0.01'\nunit: hour\ncurrencyCode: EUR\n"))
	if err != nil || p.CPU != 0.05 || p.RAM != 0.01 || p.Currency != "EUR" {
		t.Errorf("Parse = %+v, %v", p, err)
	}
	for _, text := range []string{"CPU: [", "CPU: dear\n", "unit: hour\n", "[]", "dear", "CPU: .nan\nunit: hour\n", ""} {
		_, err := Parse("ours.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "price ours.yaml: ") || strings.Contains(err.Error(), "Go value") ||
			strings.Contains(err.Error(), "unsupported") {
			t.Errorf("Parse(%q) = %v, want an error that names the file", text, err)
		}
	}
	for text, want := range map[string]string{
		"":     "CPU, RAM, GPU: all are 0 or missing", // no fields, so it says which are missing
		"[]":   "the file should have fields",
		"dear": "the file should have fields",
	} {
		if _, err := Parse("ours.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want %q", text, err, want)
		}
	}
}
