package results

import (
	"fmt"
	"strings"
	"time"
)

// AtZero reads what happens to a request while no pod is ready: "" and "refuse"
// give 0, it fails at once; "hold 60s" gives how long something before the pods
// holds it.
func AtZero(text string) (hold time.Duration, err error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch {
	case text == "", word == "refuse" && rest == "":
		return 0, nil
	case word == "hold":
		hold, err = time.ParseDuration(strings.TrimSpace(rest))
		if err == nil && hold > 0 {
			return hold, nil
		}
	}
	return 0, fmt.Errorf("at_zero %q is unknown; try refuse, or hold 60s", text)
}
