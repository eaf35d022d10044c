package hpa

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"
)

// entry is a recommendation or a scale event, in upstream's list order.
type entry struct {
	N        int32   `json:"n"`
	Change   int32   `json:"change"`
	AgeS     float64 `json:"age_s"`
	Outdated bool    `json:"outdated"`
}

func (e entry) at() time.Duration { return -time.Duration(e.AgeS * float64(time.Second)) }

// What upstream's TestNormalizeDesiredReplicas, …WithBehavior and TestStoreScaleEvents do to the
// controller's lists, recorded while they ran (Kubernetes 1.37.2): the same entries in the same places.
func TestListsAsInUpstreamTables(t *testing.T) {
	f, err := os.Open("testdata/upstream/memory.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c struct {
			Upstream, Kind        string
			Before, After         []entry
			Desired, Current, Got int32
			Change                int32
			WindowS               float64 `json:"window_s"`
			UpS                   float64 `json:"up_s"`
			DownS                 float64 `json:"down_s"`
			LongestS              int32   `json:"longest_s"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		seen[c.Kind]++
		seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
		var r recommendations
		for _, e := range c.Before {
			r.add(e.at(), e.N, -1)
		}
		got := c.Got
		switch c.Kind {
		case "stabilize":
			var slot int
			got, _, slot = r.highest(c.Desired, 0, -seconds(c.WindowS))
			r.add(0, c.Desired, slot)
		case "stabilizeWithBehaviors":
			b := r.within(c.Desired, 0, -seconds(c.UpS), -seconds(c.DownS))
			r.add(0, c.Desired, b.slot)
			got = min(max(c.Current, b.up), b.down)
		case "store":
			checkStore(t, c.Upstream, c.Before, c.After, c.Change, c.LongestS)
			continue
		}
		if got != c.Got {
			t.Errorf("%s: %d replicas, want %d", c.Upstream, got, c.Got)
		}
		var ns []int32
		for _, e := range c.After {
			ns = append(ns, e.N)
		}
		if !slices.Equal(r.n, ns) {
			t.Errorf("%s: recommendations %v, want %v", c.Upstream, r.n, ns)
		}
	}
	if seen["stabilize"] != 5 || seen["stabilizeWithBehaviors"] != 11 || seen["store"] != 16 {
		t.Errorf("cases %v, want 5, 11 and 16", seen)
	}
}

func checkStore(t *testing.T, name string, before, after []entry, change, longest int32) {
	t.Helper()
	var c changes
	for _, e := range before {
		c = append(c, ScaleEvent{e.at(), e.Change, e.Outdated})
	}
	if longest >= 0 { // without behavior nothing is stored
		c.store(0, max(change, -change), time.Duration(longest)*time.Second)
	}
	var want, got []entry
	for _, e := range after {
		want = append(want, entry{Change: e.Change, Outdated: e.Outdated})
	}
	for _, e := range c {
		got = append(got, entry{Change: e.Change, Outdated: e.Outdated})
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: events %+v, want %+v", name, got, want)
	}
}
