// Package replay runs scenarios through tuner/hpa, as `hpatune decide` does, and compares
// its decisions with the real controller's: live ones (the module's own test), or recorded
// ones (this package's test, which takes seconds and needs no Kubernetes).
package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"github.com/hpatune/hpatune/test/conformance/gen"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// Ours returns our decisions on a scenario file.
func Ours(file []byte) ([]gen.Result, error) {
	s, err := scenario.Parse(file, nil)
	if err != nil {
		return nil, err
	}
	return decisions(s)
}

// sayings returns the explanations of the scenarios' reconciles, one per line, that contain
// a wording which no earlier one has. Only words count, not numbers or names.
func sayings(all []*scenario.Scenario) (string, error) {
	var b strings.Builder
	seen := map[string]bool{}
	for _, s := range all {
		err := scenario.Run(s, func(l *scenario.Line) error {
			fresh := false
			for part := range strings.SplitSeq(variable.ReplaceAllString(l.Explanation, "#"), "; ") {
				fresh = fresh || !seen[part]
				seen[part] = true
			}
			if fresh {
				fmt.Fprintf(&b, "%s/%d: %s\n", s.ID, l.Tick, l.Explanation)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

var variable = regexp.MustCompile(
	`\{.*?\}|[A-Z][a-z]+/[a-z]+/|\((unable|failed|did|missing|container|no|invalid) .*\)|\bm\d\b|shared|(\d+(\.\d+)?) ?(ms|m|s|h|Mi|Gi|Ki|%)?\b( (replicas?|pods?|policy)\b)?|cpu|memory|\b(was|were|its|their|it|they|has|have)\b|-(Pods|Percent)`,
)

func decisions(s *scenario.Scenario) (out []gen.Result, err error) {
	err = scenario.Run(s, func(l *scenario.Line) error {
		r := gen.Result{
			Tick:            l.Tick,
			CurrentReplicas: l.CurrentReplicas,
			DesiredReplicas: l.DesiredReplicas,
			Replicas:        l.Replicas,
			Scaled:          l.Scaled,
			Error:           l.Error,
		}
		if l.Reason != nil {
			r.Reason = *l.Reason
		}
		for _, c := range l.Conditions {
			r.Conditions = append(r.Conditions, gen.Condition(c))
		}
		for _, e := range l.Events {
			r.Events = append(r.Events, gen.Event(e))
		}
		out = append(out, r)
		return nil
	})
	return out, err
}

// A Record holds the real controller's results for one scenario of a seed, as digests.
type Record struct {
	Scenario uint64 // digest of the scenario's JSON: it differs if the generator changed
	Results  uint64 // Digest of the results
}

// File returns a scenario's JSON and its digest.
func File(s *gen.Scenario) ([]byte, uint64) {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // cannot fail: a struct of strings and finite numbers
	}
	h := fnv.New64a()
	h.Write(b)
	return b, h.Sum64()
}

// WriteRecords writes one line per scenario, in order.
func WriteRecords(rs []Record) []byte {
	var b bytes.Buffer
	for _, r := range rs {
		fmt.Fprintf(&b, "%016x %016x\n", r.Scenario, r.Results)
	}
	return b.Bytes()
}

// ReadRecords reads the format of WriteRecords.
func ReadRecords(text string) ([]Record, error) {
	var rs []Record
	s := bufio.NewScanner(strings.NewReader(text))
	for s.Scan() {
		var r Record
		if _, err := fmt.Sscanf(s.Text(), "%x %x", &r.Scenario, &r.Results); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(rs)+1, err)
		}
		rs = append(rs, r)
	}
	return rs, s.Err()
}
