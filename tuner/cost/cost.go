// Package cost computes the cost of replicas from prices of cores, memory and GPUs.
// It contains a list of public prices with their dates.
package cost

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// HoursPerMonth is the month of OpenCost and infracost: 730 hours.
const HoursPerMonth = 730

// Price is what resources cost per hour, in OpenCost's field names.
//
// CPU is per core-hour, RAM per GB-hour, GPU per GPU-hour. (OpenCost charges GiB; if a
// price list means GB, that makes a difference of 7 %. The figure is per whatever unit the
// replica's memory is given in, 2Gi or 2G.) Zero means free.
type Price struct {
	Name     string  `json:"name"`
	Date     string  `json:"date"` // when the price was read: 2026-07-01
	Unit     string  `json:"unit"` // always "hour": a monthly price list is divided by 730 when read
	CPU      float64 `json:"CPU"`
	RAM      float64 `json:"RAM"`
	GPU      float64 `json:"GPU"`
	Currency string  `json:"currency"`
	// Extended are prices per hour of one unit of other extended resources, by name:
	// example.com/fpga.
	Extended map[string]float64 `json:"extended,omitempty"`
	// Node is the price of a whole node; 0 = unknown: a node then costs as much as the
	// replicas that fill it (PerNodeHour).
	Node float64 `json:"node,omitempty"`
	// WithGPU means that this is the price of nodes with GPUs, split up: nobody buys their
	// cores alone.
	WithGPU bool `json:"-"`
}

// Replica is what one replica requests.
type Replica struct {
	CPUCores float64
	MemoryGB float64 // in units of the price's RAM: requests in Gi count as GiB, in G as GB
	GPUs     float64 // of any vendor
	// Extended are its other extended resources, in units, by name.
	Extended map[string]float64 `json:",omitempty"`
}

// Known reports whether anything is known of the replica's size.
func (r Replica) Known() bool {
	return r.CPUCores > 0 || r.MemoryGB > 0 || r.GPUs > 0 || len(r.Extended) > 0
}

// Covers reports whether something is known about the replica's size and there is a price
// for every device that it requests: a device without a price is not free.
func (p Price) Covers(r Replica) bool { return r.Known() && len(p.Missing(r)) == 0 }

// Missing names the devices that a replica requests and p has no price for, sorted.
func (p Price) Missing(r Replica) []string {
	var out []string
	if r.GPUs > 0 && p.GPU <= 0 {
		out = append(out, "GPU")
	}
	for name, n := range r.Extended {
		if _, ok := p.Extended[name]; n > 0 && !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// PerReplicaHour returns what one replica costs an hour:
//
//	cores·CPU + GB·RAM + GPUs·GPU + Σ units·Extended
//
// What has no price counts as nothing: see Covers.
//
// 1 CPU and 2 GB at $0.05 and $0.01 are 0.05 + 2·0.01 = $0.07.
func (p Price) PerReplicaHour(r Replica) float64 {
	sum := r.CPUCores*p.CPU + r.MemoryGB*p.RAM + r.GPUs*p.GPU
	for _, name := range slices.Sorted(maps.Keys(r.Extended)) {
		sum += r.Extended[name] * p.Extended[name]
	}
	return sum
}

// Month returns the cost of n replicas that run for a month of 730 hours: 10 replicas at
// $0.07 an hour are $511, 2 are $102.20.
func (p Price) Month(r Replica, n float64) float64 {
	return n * p.PerReplicaHour(r) * HoursPerMonth
}

// prices are the built-in price lists: on-demand list prices with their date. They are only
// defaults; contracts differ.
var prices = []Price{
	// OpenCost configs/default.json (GCP us-central1), 2024 snapshot.
	{Name: "opencost-default", Date: "2024-01-01", Unit: "hour", CPU: .031611, RAM: .004237, GPU: .95, Currency: "USD"},
	// infracost golden 2024-07; vantage and wring.co 2026-03-10. No GPUs there.
	{Name: "aws-fargate-us-east-1", Date: "2026-03-10", Unit: "hour", CPU: .04048, RAM: .004445, Currency: "USD"},
	// infracost golden 2026-07-01: $32.49 a vCPU-month, $3.59 a GB-month.
	{Name: "gke-autopilot", Date: "2026-07-01", Unit: "hour", CPU: .0445, RAM: .0049, Currency: "USD"},
	// GCP g2-standard-4 at $0.7068 an hour split as OpenCost does: L4 GPUs.
	{Name: "gcp-g2-l4", Date: "2026-07-01", Unit: "hour", CPU: .0195, RAM: .0026, GPU: .587, Currency: "USD",
		WithGPU: true},
}

// DefaultPrice is the built-in price list that is used by default. It has no price of a
// GPU: which GPU runs is unknown, and prices differ by more than ten times.
func DefaultPrice() Price {
	p := prices[0]
	p.GPU = 0
	return p
}

// PriceNames lists the price book.
func PriceNames() []string {
	names := make([]string, len(prices))
	for i, p := range prices {
		names[i] = p.Name
	}
	return names
}

// PriceByName returns an entry of the price book.
func PriceByName(name string) (Price, bool) {
	for _, p := range prices {
		if p.Name == name {
			return p, true
		}
	}
	return Price{}, false
}

// currency is the form of an ISO 4217 code.
var currency = regexp.MustCompile(`^[A-Za-z]{3}$`)

// meant are the fields, by names in small letters that people write for them. OpenCost's files
// have other fields, which are ignored, but one that is only misspelt would make a resource
// free.
var meant = map[string]string{
	"cpu":          "CPU",
	"vcpu":         "CPU",
	"core":         "CPU",
	"cores":        "CPU",
	"ram":          "RAM",
	"memory":       "RAM",
	"mem":          "RAM",
	"gpu":          "GPU",
	"gpus":         "GPU",
	"node":         "node",
	"nodes":        "node",
	"unit":         "unit",
	"date":         "date",
	"name":         "name",
	"currencycode": "currencyCode",
	"currency":     "currencyCode",
}

// PriceOf reads a price from the fields of an OpenCost pricing file (CPU, RAM, GPU,
// currencyCode, description; numbers or strings with numbers) and two of our own: `unit:
// hour|month` and `date`. OpenCost's own files are hourly, but the same fields are monthly
// on its update path and in its Helm example, so the unit is required. All problems are
// returned at once.
func PriceOf(fields map[string]any) (Price, []error) {
	var errs []error
	number := func(key string) float64 {
		switch v := fields[key].(type) {
		case nil:
			return 0
		case float64:
			return v
		case int:
			return float64(v)
		case int64:
			return float64(v)
		case string:
			f, err := strconv.ParseFloat(v, 64)
			if err == nil {
				return f
			}
		}
		errs = append(errs, fmt.Errorf("%s: %v is not a number", key, fields[key]))
		return 0
	}
	text := func(key string) string {
		switch v := fields[key].(type) {
		case string:
			return v
		case time.Time:
			return v.Format(time.DateOnly)
		case nil:
		default:
			errs = append(errs, fmt.Errorf("%s: is %v, should be text", key, v))
		}
		return ""
	}
	p := Price{
		Name:     text("name"),
		Date:     text("date"),
		Unit:     "hour",
		CPU:      number("CPU"),
		RAM:      number("RAM"),
		GPU:      number("GPU"),
		Node:     number("node"),
		Currency: text("currencyCode"),
	}
	if p.Name == "" {
		p.Name = text("description")
	}
	if p.Currency == "" {
		p.Currency = "USD"
	}
	if !currency.MatchString(p.Currency) {
		errs = append(errs, fmt.Errorf("currencyCode: %q is not a code of three letters, such as EUR", p.Currency))
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if want := meant[strings.ToLower(key)]; want != "" && want != key {
			errs = append(errs, fmt.Errorf("%s: unknown; write %s", key, want))
		}
	}
	for key := range fields { // nvidia.com/gpu: another spelling of GPU; example.com/fpga: its own
		switch {
		case !strings.Contains(key, "/"):
		case strings.HasSuffix(key, "/gpu"):
			p.GPU = number(key)
		default:
			if p.Extended == nil {
				p.Extended = map[string]float64{}
			}
			p.Extended[key] = number(key)
		}
	}
	all := map[string]float64{"CPU": p.CPU, "RAM": p.RAM, "GPU": p.GPU, "node": p.Node}
	maps.Copy(all, p.Extended)
	for key, v := range all {
		if v < 0 || v != v {
			errs = append(errs, fmt.Errorf("%s: %v is not a price", key, v))
		}
	}
	if p.CPU == 0 && p.RAM == 0 && p.GPU == 0 && len(p.Extended) == 0 {
		errs = append(errs, fmt.Errorf("CPU, RAM, GPU: all are 0 or missing; give at least one"))
	}
	if _, given := fields["node"]; given && p.Node == 0 {
		errs = append(errs, errors.New("node: 0 would make nodes free; remove it to price a node as the replicas on it"))
	}
	switch unit := text("unit"); unit {
	case "hour":
	case "month":
		p.CPU, p.RAM, p.GPU = p.CPU/HoursPerMonth, p.RAM/HoursPerMonth, p.GPU/HoursPerMonth
		p.Node /= HoursPerMonth
		for name := range p.Extended {
			p.Extended[name] /= HoursPerMonth
		}
	case "":
		if fields["unit"] != nil {
			break // said above
		}
		errs = append(errs, fmt.Errorf("unit: missing; write `unit: hour` or `unit: month` (730 hours)"))
	default:
		errs = append(errs, fmt.Errorf("unit: %q is neither hour nor month", unit))
	}
	return p, errs
}

// Parse reads a price from a YAML file called name: see PriceOf. Its error lists every
// problem.
func Parse(name string, data []byte) (Price, error) {
	var whole any
	switch err := yaml.Unmarshal(data, &whole); {
	case err != nil && strings.Contains(err.Error(), "unsupported value"):
		return Price{}, fmt.Errorf("price %s: a value is .nan or .inf, which is not a price", name)
	case err != nil:
		return Price{}, fmt.Errorf("price %s: %w", name, err)
	}
	fields, ok := whole.(map[string]any)
	if !ok && whole != nil {
		return Price{}, fmt.Errorf("price %s: the file should have fields, such as CPU: 0.03 and unit: hour", name)
	}
	p, errs := PriceOf(fields)
	for i, err := range errs {
		errs[i] = fmt.Errorf("price %s: %w", name, err)
	}
	return p, errors.Join(errs...)
}
