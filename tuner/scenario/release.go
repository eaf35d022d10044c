package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// ParseRelease reads a release of Kubernetes: "1.33", "v1.33.4" or "33" is 33. ""
// is 0, the latest.
func ParseRelease(text string) (minor int, err error) {
	if text == "" {
		return 0, nil
	}
	t := strings.TrimPrefix(strings.TrimPrefix(text, "v"), "1.")
	t, _, _ = strings.Cut(t, ".")
	n, err := strconv.Atoi(strings.TrimRight(t, "+"))
	if err != nil || n < hpa.Oldest || n > hpa.Latest {
		return 0, fmt.Errorf("%q: give 1.%d to 1.%d", text, hpa.Oldest, hpa.Latest)
	}
	return n, nil
}

// Follow makes a scenario decide like a release with its default gates; 0 leaves the scenario
// unchanged.
func (s *Scenario) Follow(minor int) {
	if minor != 0 {
		s.Params.Release, s.Params.Gates = minor, hpa.ParamsFor(minor).Gates
	}
}

// Encode returns a function that writes each line to w as JSON, with one Write.
func Encode(w io.Writer) func(*Line) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(l *Line) error { return e.Encode(l) }
}
