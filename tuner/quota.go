package tuner

import (
	"fmt"

	"github.com/hpatune/hpatune/results"
)

// admitted limits the recommendation to the quotas that the run recorded, and reports it;
// nothing if no quota limits it.
func (o *Options) admitted(run *results.Run) []string {
	q, ok := run.Meta.Workload.Tightest()
	room := q.Room()
	if !ok || room < 1 || o.Space.MaxLimit > 0 && o.Space.MaxLimit <= room {
		return nil
	}
	o.Space.MaxLimit = room
	text := fmt.Sprintf("%s; no candidate has more", q)
	if o.Current.MaxReplicas > room && !o.First {
		text += fmt.Sprintf(" (maxReplicas is %d now; replicas above %d are never created)", o.Current.MaxReplicas, room)
	}
	return []string{text}
}
