package profiles_test

import (
	"fmt"

	"github.com/hpatune/hpatune/profiles"
)

// A profile is a file of stages; its schedule is exact and the same for one seed.
func ExampleParse() {
	p, err := profiles.Parse("load.yaml", []byte(`
name: two-steps
stages:
  - {name: low, rate: 1/s, duration: 2s, arrivals: constant}
  - {name: high, rate: 4/s, duration: 1s, arrivals: constant}
`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for a := range p.Arrivals(1) {
		fmt.Println(a.At, p.Stages[a.Stage].Name)
	}
	// Output:
	// 500ms low
	// 1.5s low
	// 2.125s high
	// 2.375s high
	// 2.625s high
	// 2.875s high
}

// All problems are reported at once, each with its line and what to write.
func ExampleParse_problems() {
	_, err := profiles.Parse("load.yaml", []byte("name: x\nstages:\n  - {name: low, rate: -1/s, duration: 2s}\n"), nil)
	fmt.Println(err)
	// Output:
	// load.yaml:3: stages[0].rate: rate -1/s is negative
	//   Try: 1/s
}
