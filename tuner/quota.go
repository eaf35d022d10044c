package tuner

import (
	"fmt"

	"github.com/hpatune/hpatune/results"
)

// admitted bounds what may be recommended by the quotas that the run recorded, and says
// so; nothing where none binds.
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
