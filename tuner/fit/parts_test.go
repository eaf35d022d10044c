package fit

import (
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// request is one that a backend answered, times in seconds; first 0 = in one piece.
func request(backend int32, sent, first, done float64, o results.Outcome) results.Request {
	q := results.Request{Scheduled: fittest.Dur(sent), Sent: fittest.Dur(sent), First: results.NotYet, Last: results.NotYet, Done: fittest.Dur(done), Backend: backend, Outcome: o, Err: -1}
	if first > 0 {
		q.First = fittest.Dur(first)
	}
	return q
}

// phases returns the events of one pod; at holds seconds by phase.
func phases(name string, at map[results.PodPhase]float64) (out []results.Pod) {
	for _, p := range []results.PodPhase{results.PodCreated, results.PodScheduled, results.PodPulled, results.PodStarted, results.PodReady, results.PodDeleted, results.PodGone} {
		if s, ok := at[p]; ok {
			out = append(out, results.Pod{At: fittest.Dur(s), Name: name, Phase: p})
		}
	}
	return out
}

func TestReadLog(t *testing.T) {
	run := &results.Run{Requests: []results.Request{
		request(0, 2, 0, 5, results.OK), request(0, 1, 0, 4, results.OK), request(1, 3, 0, 4, results.OK),
		request(0, 2.5, 0, 3, results.Shed), request(0, 2.6, 0, 2.7, results.HTTP429), request(0, 3, 0, 9, results.Timeout),
	}}
	l := readLog(run)
	if !l.visible || len(l.servers) != 2 || len(l.calls) != 4 {
		t.Fatalf("visible %v, %d servers, %d calls, want 2 and the 4 that held a place", l.visible, len(l.servers), len(l.calls))
	}
	var inside []int
	for _, c := range l.calls { // by time sent: 1, 2, 3 (backend 1), 3 (timeout)
		inside = append(inside, c.inside)
	}
	if !slices.Equal(inside, []int{0, 1, 0, 2}) {
		t.Errorf("inside %v, want 0 1 0 2", inside)
	}
	if l.good() != 3 || l.streams() {
		t.Errorf("%d good, streams %v", l.good(), l.streams())
	}
}

func TestStartsUnder(t *testing.T) {
	calls := []results.Request{request(0, 0, 0, 10, results.OK), request(0, 1, 0, 4, results.OK), request(0, 2, 0, 12, results.OK), request(0, 3, 0, 5, results.Timeout)}
	for _, row := range []struct {
		slots int
		want  []float64
	}{
		{1, []float64{0, 10, 10, 5}}, // the last client gave up while it waited, at 5 s
		{2, []float64{0, 1, 4, 5}},
		{4, []float64{0, 1, 2, 3}},
	} {
		if got := startsUnder(readLog(&results.Run{Requests: calls}), row.slots); !slices.Equal(got, row.want) {
			t.Errorf("startsUnder(%d) = %v, want %v", row.slots, got, row.want)
		}
	}
}

func TestStartsOf(t *testing.T) {
	whole := map[results.PodPhase]float64{results.PodCreated: 10, results.PodScheduled: 11, results.PodPulled: 15, results.PodStarted: 16, results.PodReady: 40}
	old := map[results.PodPhase]float64{results.PodCreated: -10, results.PodReady: 20}
	bare := map[results.PodPhase]float64{results.PodCreated: 10, results.PodReady: 40}
	for _, row := range []struct {
		name   string
		pods   []results.Pod
		gaps   []results.Gap
		stated time.Duration
		want   []time.Duration
		fails  bool
	}{
		{"one seen whole", phases("a", whole), nil, 0, []time.Duration{30 * time.Second}, false},
		{"phases that were not seen are in the next", phases("a", bare), nil, 0, []time.Duration{30 * time.Second}, false},
		{"older than the run: nothing known, and nothing stated", phases("a", old), nil, 0, nil, true},
		{"stated", nil, nil, time.Minute, []time.Duration{time.Minute}, false},
		{"nobody watched", phases("a", whole), []results.Gap{{Source: "kube/pods", From: 12 * time.Second, To: 14 * time.Second}}, 0, nil, true},
	} {
		got, _, err := startsOf(readLog(&results.Run{Pods: row.pods, Gaps: row.gaps}), row.stated)
		var totals []time.Duration
		for _, s := range got {
			totals = append(totals, s.Total())
		}
		if !slices.Equal(totals, row.want) || (err != nil) != row.fails {
			t.Errorf("%s: %v, %v, want %v", row.name, totals, err, row.want)
		}
	}
}

func TestDrainOfAndReplicasOf(t *testing.T) {
	pods := slices.Concat(
		phases("a", map[results.PodPhase]float64{results.PodReady: -5, results.PodDeleted: 100, results.PodGone: 104}),
		phases("b", map[results.PodPhase]float64{results.PodReady: -5, results.PodDeleted: 100, results.PodGone: 140}),
		phases("c", map[results.PodPhase]float64{results.PodReady: 50}),
	)
	d, _ := drainOf(readLog(&results.Run{Pods: pods}))
	if d.Min != 4*time.Second || d.Grace != 40*time.Second {
		t.Errorf("drainOf = %+v, want 4 s at least and 40 s at most", d)
	}
	for _, row := range []struct {
		name          string
		run           *results.Run
		stated, floor int32
		want          int32
	}{
		{"as the first reconcile had it", &results.Run{Syncs: []results.Sync{{Spec: 7}}, Pods: pods}, 3, 1, 7},
		{"none, where the first pod was created before the first reconcile", &results.Run{Syncs: []results.Sync{{Spec: 1, At: 4 * time.Second}},
			Pods: slices.Concat(phases("old", map[results.PodPhase]float64{results.PodCreated: -90, results.PodDeleted: -2}),
				phases("new", map[results.PodPhase]float64{results.PodCreated: 3, results.PodReady: 5}))}, 0, 1, 0},
		{"as the first reconcile had it, which made the first pod", &results.Run{Syncs: []results.Sync{{Spec: 1, At: 4 * time.Second}},
			Pods: phases("new", map[results.PodPhase]float64{results.PodCreated: 6, results.PodReady: 9})}, 0, 1, 1},
		{"as stated", &results.Run{Pods: pods}, 3, 1, 3},
		{"as the pods' lives say", &results.Run{Pods: pods}, 0, 1, 2},
		{"as many as answered", &results.Run{Requests: []results.Request{request(0, 1, 0, 2, results.OK), request(4, 1, 0, 2, results.OK)}}, 0, 5, 2},
		{"minReplicas", &results.Run{}, 0, 5, 5},
		{"at least one", &results.Run{}, 0, 0, 1},
	} {
		if got, _ := replicasOf(readLog(row.run), row.stated, row.floor); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

func TestSyncsOf(t *testing.T) {
	at := func(seconds ...float64) (out []results.Sync) {
		for _, s := range seconds {
			out = append(out, results.Sync{At: fittest.Dur(s)})
		}
		return out
	}
	for _, row := range []struct {
		name  string
		syncs []results.Sync
		n     int // put in and recorded
		phase time.Duration
	}{
		{"too few", at(5, 20, 35), 0, 0},
		{"all recorded, and two more until the end", at(5, 20, 35, 50), 6, 5 * time.Second},
		{"one without a trace", at(5, 20, 50, 65), 6, 5 * time.Second},
		{"begun late: those before are put in", at(35, 50, 65, 80), 6, 5 * time.Second},
		{"not on its clock", at(5, 20, 28, 43), 0, 0},
	} {
		got := syncsOf(row.syncs, 15*time.Second, 81*time.Second)
		if len(got.Recorded) != row.n || (got.Phase-row.phase).Abs() > 10*time.Millisecond {
			t.Errorf("%s: %d reconciles from %v on, want %d from %v on", row.name, len(got.Recorded), got.Phase, row.n, row.phase)
		}
	}
}

func TestQueueOfAndPatienceOf(t *testing.T) {
	var calls []results.Request
	for i := range 6 { // six in the replica when the seventh is rejected
		calls = append(calls, request(0, float64(i)/10, 0, 10, results.OK))
	}
	if got, _ := queueOf(readLog(&results.Run{Requests: calls}), 4); got != 0 {
		t.Errorf("nothing was refused: %d places", got)
	}
	calls = append(calls, request(0, 1, 0, 1.01, results.HTTP429))
	if got, _ := queueOf(readLog(&results.Run{Requests: calls}), 4); got != 2 {
		t.Errorf("refused with 6 inside and 4 slots: %d places, want 2", got)
	}
	calls = append(calls, request(0, 2, 0, 12, results.Timeout), request(0, 3, 0, 13, results.Timeout))
	if total, first := patienceOf(&results.Run{Requests: calls, Profile: []byte("{")}, true); total != 10*time.Second || first != 0 {
		t.Errorf("without a profile clients wait %v, %v, want the 10 s of those that went", total, first)
	}
}

func TestContainersOf(t *testing.T) {
	saw := &results.Run{Syncs: []results.Sync{{Pods: []results.PodState{{Containers: []results.ContainerState{{Name: "app", CPUMilli: 500, MemoryBytes: 1 << 30}, {Name: "init", Init: true, CPUMilli: 4000}}}}}}}
	for _, row := range []struct {
		name  string
		run   *results.Run
		o     Options
		cores float64
		fails bool
	}{
		{"as the controller saw them, without init containers", saw, Options{CPUMilli: 9000}, 0.5, false},
		{"as the workload says", &results.Run{Meta: results.Meta{Workload: results.Workload{CPUMilli: 250}}}, Options{}, 0.25, false},
		{"as stated", &results.Run{}, Options{CPUMilli: 2000}, 2, false},
		{"unknown, and CPU utilization needs it", &results.Run{}, Options{}, 0, true},
	} {
		_, replica, _, err := containersOf(row.run, []hpa.Metric{{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Utilization: 70}}}, row.o)
		if replica.CPUCores != row.cores || (err != nil) != row.fails {
			t.Errorf("%s: %v cores, %v, want %v", row.name, replica.CPUCores, err, row.cores)
		}
	}
}
