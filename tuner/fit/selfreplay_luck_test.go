package fit

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// TestARunThatWentAnotherWay is about a run in which one request more in a queue decided
// whether a third pod came early: then ten were never needed, and the size fell earlier.
func TestARunThatWentAnotherWay(t *testing.T) {
	const step, period = time.Second, 15 * time.Second
	sizes := func(at map[int]float64) []float64 {
		out, size := make([]float64, 600), 2.0
		for i := range out {
			if v, ok := at[i]; ok {
				size = v
			}
			out[i] = size
		}
		return out
	}
	early := map[int]float64{150: 3, 180: 6, 195: 9, 480: 3, 510: 2}
	late := map[int]float64{180: 4, 195: 8, 210: 12, 555: 7, 570: 3, 585: 2}
	never := map[int]float64{}
	far := map[int]float64{60: 12, 450: 2} // neither way
	times := func(n int, at map[int]float64) (out [][]float64) {
		for range n {
			out = append(out, sizes(at))
		}
		return out
	}
	of := func(at map[int]float64) []results.Sync {
		syncs, size := []results.Sync{{Spec: 2, Replicas: 2}}, 2.0
		for _, i := range slices.Sorted(maps.Keys(at)) {
			syncs = append(syncs, results.Sync{At: time.Duration(i) * step, Spec: int32(size), Replicas: int32(at[i])})
			size = at[i]
		}
		return syncs
	}
	for _, row := range []struct {
		name     string
		recorded map[int]float64
		plays    [][]float64
		want     SelfVerdict
		near     int
	}{
		{"the run went the way of one replay in ten", early, append(times(27, late), times(3, early)...), SelfPass, 3},
		{"the run went the way of two replays of thirty, which is an accident", early, append(times(28, late), times(2, early)...), SelfFail, 2},
		{"all replays go one way, the run another", early, times(30, late), SelfFail, 0},
		{"all replays go one way, the run too", late, times(30, late), SelfPass, 30},
		{"the replays go two ways, the run a third", far, append(times(16, late), times(14, early)...), SelfFail, 0},
		{"the replays never move", early, times(30, never), SelfFail, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := comparison{step, period, 2, nil}
			syncs := of(row.recorded)
			single := c.compare(recordedSizes(syncs, 600, step), rescalesOf(syncs, step), row.plays[0])
			got := c.byLuck(syncs, row.plays, single)
			by := c.branch(syncs, row.plays, &got)
			if got.Verdict != row.want || got.ReplaysMatched != row.near || got.Replays != 30 {
				t.Errorf("%+v, want %s with %d of 30 replays that match", got, row.want, row.near)
			}
			if by != nil && (got.RescalesMatched != got.Rescales || *got.ReplicaHoursError != 0 || *got.MeanAbsReplicas != 0) {
				t.Errorf("%+v: the figures are not those of the replays that decided, %v", got, by)
			}
		})
	}
}
