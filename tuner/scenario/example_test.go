package scenario_test

import (
	"fmt"
	"strings"

	"github.com/hpatune/hpatune/tuner/scenario"
)

// Decide reads scenarios and writes one JSON line per reconcile.
func ExampleDecide() {
	in := `{"id": "x", "initialReplicas": 2,
	  "hpa": {"spec": {"maxReplicas": 10, "metrics": [{"type": "External", "external": {"metric": {"name": "queue"},
	          "target": {"type": "AverageValue", "averageValue": "5"}}}]}},
	  "observations": [{"externalMetrics": {"queue": {"milli": [30000]}}}]}`
	var out strings.Builder
	if _, err := scenario.Decide(strings.NewReader(in), &out, scenario.Options{}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(out.String(), `"replicas":6`))
	// Output: true
}
