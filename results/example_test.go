package results_test

import (
	"fmt"

	"github.com/hpatune/hpatune/results"
)

// An objective is one line of text; what it needs is asked of its metric.
func ExampleParseObjective() {
	o, err := results.ParseObjective("ttft.p95 < 500ms each 1m for 99%")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(o.Metric, o.Limit, o)

	_, err = results.ParseObjective("ttft < 500ms")
	fmt.Println(err)
	// Output:
	// ttft 0.5 ttft.p95 < 500ms each 1m for 99%
	// objective "ttft < 500ms": missing statistic; try "ttft.p95 < 500ms"
}
