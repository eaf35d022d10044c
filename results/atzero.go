package results

import (
	"fmt"
	"strings"
	"time"
)

// AtZero parses what happens to a request while no pod is ready. "" and "refuse" return 0:
// it fails at once. "hold 60s" returns how long something in front of the pods holds it.
func AtZero(text string) (hold time.Duration, err error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch {
	case text == "", word == "refuse" && rest == "":
		return 0, nil
	case word == "hold":
		rest = strings.TrimSpace(rest)
		hold, err = time.ParseDuration(rest)
		switch {
		case rest == "":
			return 0, fmt.Errorf("at_zero %q has no time; try hold 60s", text)
		case err != nil:
			return 0, fmt.Errorf("at_zero: %q is not a time; try hold 60s", rest)
		case hold <= 0:
			return 0, fmt.Errorf("at_zero: hold needs a time above 0, not %s; try hold 60s", rest)
		}
		return hold, nil
	}
	return 0, fmt.Errorf("at_zero %q is neither refuse nor hold TIME; try refuse, or hold 60s", text)
}
