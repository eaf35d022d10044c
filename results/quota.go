package results

import (
	"fmt"
	"math"
	"reflect"
)

// Quota is one bound of a ResourceQuota on the pods of the workload's namespace, as it
// was when the run began. Amounts are in base units: pods, cores, bytes.
type Quota struct {
	Name     string  `json:"name"`     // of the ResourceQuota
	Resource string  `json:"resource"` // as it names it: pods, requests.cpu, limits.memory
	Hard     float64 `json:"hard"`
	Used     float64 `json:"used"`    // by all pods of the namespace
	Own      float64 `json:"own"`     // of Used, by the workload's pods
	PerPod   float64 `json:"per_pod"` // what one more of them takes; above 0
}

// Room is how many pods of the workload the quota admits beside what others use.
func (q Quota) Room() int32 {
	others := max(0, q.Used-q.Own)
	room := math.Floor((q.Hard - others) / q.PerPod * (1 + 1e-9))
	return int32(min(max(room, 0), math.MaxInt32))
}

// String says what the quota admits and why.
func (q Quota) String() string {
	text := fmt.Sprintf("ResourceQuota %s allows %.4g of %s", q.Name, q.Hard, q.Resource)
	if others := q.Used - q.Own; others > 0 {
		text += fmt.Sprintf(", others use %.4g", others)
	}
	return fmt.Sprintf("%s and a pod takes %.4g, so at most %d replicas are admitted", text, q.PerPod, q.Room())
}

// same says whether two runs are of one workload. What quotas were used for differs
// from one run to the next.
func (w Workload) same(o Workload) bool {
	w.Quotas, o.Quotas = nil, nil
	return reflect.DeepEqual(w, o)
}

// Tightest is the quota that admits the fewest pods; ok is false where there is none.
func (w Workload) Tightest() (tightest Quota, ok bool) {
	for _, q := range w.Quotas {
		if q.PerPod > 0 && (!ok || q.Room() < tightest.Room()) {
			tightest, ok = q, true
		}
	}
	return tightest, ok
}
