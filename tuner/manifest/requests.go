package manifest

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Requests are the resource requests of a pod, as stated by flags. 0 and absent = not
// stated.
type Requests struct {
	CPUMilli    int64
	MemoryBytes int64
	GPUs        float64            // of all vendors
	Extended    map[string]float64 // other extended resources, in units, by name
}

// ParseRequests reads "cpu=1,memory=2Gi,nvidia.com/gpu=1"; "" states nothing.
func ParseRequests(text string) (r Requests, err error) {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		q, err := resource.ParseQuantity(value)
		if err != nil || q.Sign() <= 0 {
			return r, fmt.Errorf("%q: %s is not a positive quantity\nTry: --requests cpu=1,memory=2Gi", text, part)
		}
		if seen[name] {
			return r, fmt.Errorf("%q: %s is written twice", text, name)
		}
		seen[name] = true
		vendor, device, ok := strings.Cut(name, "/")
		if ok && q.MilliValue()%1000 != 0 {
			return r, fmt.Errorf("%q: %s: a pod can only request whole devices\nTry: --requests %s=1", text, part, name)
		}
		switch {
		case name == "cpu":
			r.CPUMilli = q.MilliValue()
		case name == "memory":
			r.MemoryBytes = q.Value()
		case !ok || vendor == "" || device == "":
			return r, fmt.Errorf("%q: unknown resource %q\nTry: --requests cpu=1,memory=2Gi,nvidia.com/gpu=1", text, name)
		case device == "gpu":
			r.GPUs += q.AsApproximateFloat64()
		default:
			if r.Extended == nil {
				r.Extended = map[string]float64{}
			}
			r.Extended[name] = q.AsApproximateFloat64()
		}
	}
	return r, nil
}
