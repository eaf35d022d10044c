package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

const wavesYAML = `name: waves
classes: [{name: a, weight: 1}, {name: b, weight: 2}]
stages:
  - {name: up, ramp: {from: 5/s, to: 50/s}, duration: 10s}
  - {name: hold, rate: 50/s, duration: 10s, arrivals: {gamma: {cv: 2}}}
`

func waves(t *testing.T) *profiles.Profile {
	t.Helper()
	p, err := profiles.Parse("waves.yaml", []byte(wavesYAML), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const seed = 7

// shardOf is the run that a shard leaves: every arrival answered after 10 ms,
// on a clock that is ahead.
func shardOf(p *profiles.Profile, s Shard, start time.Time) *results.Run {
	r := &results.Run{Profile: []byte(wavesYAML), Meta: results.Meta{
		Schema: results.Schema, Run: "shard", Start: start, Speed: 1, Seed: seed, Profile: p.Name,
		Errors: []string{"error of " + s.String()}, Backends: []results.Backend{{Name: "b" + s.String()}},
	}}
	for _, st := range p.Preview(seed).Stages {
		r.Meta.Stages = append(r.Meta.Stages, results.StageInfo{Name: st.Name, FromS: st.FromS, ToS: st.ToS, Arrivals: st.Arrivals})
	}
	for a := range p.Arrivals(seed) {
		if a.Index%s.N == s.I {
			r.Requests = append(r.Requests, results.Request{Arrival: a.Index, Stage: a.Stage, Class: a.Class, Scheduled: a.At, Sent: a.At,
				First: results.NotYet, Last: results.NotYet, Done: a.At + 10*time.Millisecond, Err: -1, Backend: 0})
		}
	}
	return r
}

// sameSchedule compares a run with the profile's schedule, one by one.
func sameSchedule(t *testing.T, p *profiles.Profile, r *results.Run) {
	t.Helper()
	want := slices.Collect(p.Arrivals(seed))
	if len(r.Requests) != len(want) {
		t.Fatalf("merged: %d requests, the schedule has %d", len(r.Requests), len(want))
	}
	for i, a := range want {
		q := r.Requests[i]
		if q.Arrival != a.Index || q.Stage != a.Stage || q.Class != a.Class || q.Scheduled != a.At {
			t.Fatalf("request %d is arrival %d, stage %d, class %d at %v; the schedule has %+v", i, q.Arrival, q.Stage, q.Class, q.Scheduled, a)
		}
	}
}

func TestMergeIsTheScheduleOneByOne(t *testing.T) {
	p, start := waves(t), time.Unix(1e9, 0)
	ahead := []time.Duration{3 * time.Second, -time.Second, 0}
	var shares []Share
	for k, d := range ahead { // each told to start at the same instant, in its own clock
		shares = append(shares, Share{Run: shardOf(p, Shard{k, 3}, start.Add(d)), Name: "w", Ahead: d, Error: time.Millisecond})
	}
	r, err := Merge(p, seed, shares)
	if err != nil {
		t.Fatal(err)
	}
	sameSchedule(t, p, r)
	if r.Meta.Partial || len(r.Warnings) > 0 {
		t.Errorf("partial %v (%s), warnings %v; want none", r.Meta.Partial, r.Meta.Why, r.Warnings)
	}
	if len(r.Offsets) != 3 || r.Offsets[1].Offset != 4*time.Second || r.Offsets[1].Error != 2*time.Millisecond {
		t.Errorf("offsets %+v, want shard 1 to be moved by 4 s ± 2 ms", r.Offsets)
	}
	if r.Requests[4].Backend < 0 || r.Meta.Backends[r.Requests[4].Backend].Name != "b1/3" {
		t.Errorf("arrival 4 was answered by %d of %v, want b1/3", r.Requests[4].Backend, r.Meta.Backends)
	}
}

func TestMergeOfALateStartMovesItsArrivals(t *testing.T) {
	p, start := waves(t), time.Unix(1e9, 0)
	r, err := Merge(p, seed, []Share{{Run: shardOf(p, Shard{0, 2}, start)}, {Run: shardOf(p, Shard{1, 2}, start.Add(time.Second))}})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Collect(p.Arrivals(seed))
	if got := r.Requests[1].Scheduled - want[1].At; got != time.Second {
		t.Errorf("arrival 1 of a shard that began 1 s late is %v late", got)
	}
}

func TestMergeCountsALostWorkerAsUndelivered(t *testing.T) {
	p, start := waves(t), time.Unix(1e9, 0)
	for lost := range 3 {
		shares := make([]Share, 3)
		for k := range shares {
			shares[k] = Share{Run: shardOf(p, Shard{k, 3}, start.Add(time.Duration(k)*time.Second)), Name: "pod-" + Shard{k, 3}.String(), Ahead: time.Duration(k) * time.Second}
		}
		shares[lost].Run, shares[lost].Why = nil, "its pod was deleted"
		r, err := Merge(p, seed, shares)
		if err != nil {
			t.Fatal(err)
		}
		sameSchedule(t, p, r)
		for _, q := range r.Requests {
			if wasLost := q.Arrival%3 == lost; wasLost != (q.Outcome == results.Shed) || wasLost == results.Happened(q.Sent) {
				t.Fatalf("worker %d lost: arrival %d is %v, sent at %v", lost, q.Arrival, q.Outcome, q.Sent)
			}
		}
		if !r.Meta.Partial || !strings.Contains(r.Meta.Why, shares[lost].Name+" was lost: its pod was deleted") {
			t.Errorf("worker %d lost: partial %v, why %q", lost, r.Meta.Partial, r.Meta.Why)
		}
		if v := results.Summarize(r, nil).Trust.Verdict; v != results.Invalid {
			t.Errorf("worker %d lost: %s, want invalid: a third was not delivered", lost, v)
		}
	}
}

func TestMergeFillsWhatAWorkerDidNotFinish(t *testing.T) {
	p := waves(t)
	shares := []Share{{Run: shardOf(p, Shard{0, 2}, time.Unix(1e9, 0))}, {Run: shardOf(p, Shard{1, 2}, time.Unix(1e9, 0)), Name: "w1"}}
	half := shares[1].Run
	cut := len(half.Requests) / 2
	left := len(half.Requests) - cut
	half.Requests, half.Meta.Partial, half.Meta.Why = half.Requests[:cut], true, "interrupted"
	r, err := Merge(p, seed, shares)
	if err != nil {
		t.Fatal(err)
	}
	sameSchedule(t, p, r)
	shed := 0
	for _, q := range r.Requests {
		if q.Outcome == results.Shed {
			shed++
		}
	}
	if shed != left || !strings.Contains(r.Meta.Why, "w1 did not finish: interrupted") {
		t.Errorf("%d shed, why %q; want %d, and w1 named", shed, r.Meta.Why, left)
	}
	if len(half.Requests) != cut {
		t.Errorf("Merge changed its input")
	}
}

func TestMergeOfAStoppedRunEndsWithTheLastArrivalOfAny(t *testing.T) {
	p := waves(t)
	shares := []Share{{Run: shardOf(p, Shard{0, 2}, time.Unix(1e9, 0)), Name: "w0"}, {Run: shardOf(p, Shard{1, 2}, time.Unix(1e9, 0)), Name: "w1"}}
	for k, n := range []int{50, 60} { // arrivals 0…98 and 1…119
		r := shares[k].Run
		r.Requests, r.Meta.Partial, r.Meta.Why = r.Requests[:n], true, "interrupted"
	}
	r, err := Merge(p, seed, shares)
	if err != nil {
		t.Fatal(err)
	}
	shed := 0
	for i, q := range r.Requests {
		if q.Arrival != i {
			t.Fatalf("request %d is arrival %d", i, q.Arrival)
		}
		if q.Outcome == results.Shed {
			shed++
		}
	}
	if len(r.Requests) != 120 || shed != 10 {
		t.Errorf("%d requests, %d never sent; want 120, and the 10 that w0 left between", len(r.Requests), shed)
	}
}

func TestMergeRefuses(t *testing.T) {
	p, start := waves(t), time.Unix(1e9, 0)
	other := shardOf(p, Shard{1, 2}, start)
	other.Requests = append(other.Requests, results.Request{Arrival: 1_000_001, Err: -1, Backend: -1})
	for name, shares := range map[string][]Share{
		"not belong to shard 1/2":      {{Run: shardOf(p, Shard{0, 2}, start)}, {Run: shardOf(p, Shard{0, 2}, start)}},
		"are not in the schedule":      {{Run: shardOf(p, Shard{0, 2}, start)}, {Run: other}},
		"worker 1 (b): it was evicted": {{Why: "no room", Name: "a"}, {Why: "it was evicted", Name: "b"}},
	} {
		if _, err := Merge(p, seed, shares); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Merge: %v, want %q in it", err, name)
		}
	}
}

func TestParseShard(t *testing.T) {
	if s, err := ParseShard("3/8"); err != nil || s != (Shard{3, 8}) {
		t.Errorf("ParseShard(3/8) = %v, %v", s, err)
	}
	for _, bad := range []string{"", "8/8", "-1/3", "1", "a/b", "1/0", "1/3/4"} {
		if s, err := ParseShard(bad); err == nil {
			t.Errorf("ParseShard(%q) = %v, want an error", bad, s)
		}
	}
}

// A worker over real HTTP, from the order to its leave.
func TestWorkerTakesOneOrderAndHandsOverItsRun(t *testing.T) {
	p := waves(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Worker{Token: "s3", Dir: filepath.Join(t.TempDir(), "run"), Send: func(_ context.Context, o Order, dir string) error {
		r := shardOf(p, o.Shard, o.Start)
		log, err := store.Create(dir, r.Meta, o.Files[o.Profile])
		if err != nil {
			return err
		}
		Emit(r, log.Emit, log.Pace)
		return log.Close(r.Meta)
	}}
	served := make(chan error, 1)
	go func() { served <- w.Serve(t.Context(), l) }()
	ask := func(method, path, token string, body []byte) (int, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(tokenHeader, token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b
	}
	order, err := json.Marshal(Order{Shard: Shard{1, 3}, Start: time.Unix(1e9, 0).UTC(), Profile: "profile.yaml", Files: map[string][]byte{"profile.yaml": []byte(wavesYAML)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "S3"} {
		if code, _ := ask("POST", "/start", token, order); code != http.StatusForbidden {
			t.Errorf("an order with token %q: %d, want 403", token, code)
		}
	}
	if code, _ := ask("GET", "/run", "s3", nil); code != http.StatusConflict {
		t.Errorf("a run before its order: %d, want 409", code)
	}
	if code, text := ask("POST", "/start", "s3", order); code != http.StatusOK {
		t.Fatalf("the order: %d %s", code, text)
	}
	if code, _ := ask("POST", "/start", "s3", order); code != http.StatusConflict {
		t.Errorf("a second order: %d, want 409", code)
	}
	for {
		var s state
		_, b := ask("GET", "/state", "s3", nil)
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		if s.State == "done" {
			if s.Error != "" {
				t.Fatal(s.Error)
			}
			break
		}
	}
	_, packed := ask("GET", "/run", "s3", nil)
	dir := t.TempDir()
	if err := unpack(bytes.NewReader(packed), dir); err != nil {
		t.Fatal(err)
	}
	got, err := store.Open(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if want := len(shardOf(p, Shard{1, 3}, time.Time{}).Requests); len(got.Requests) != want {
		t.Errorf("%d requests came over, want %d", len(got.Requests), want)
	}
	if err := unpack(bytes.NewReader(packed[:len(packed)/2]), t.TempDir()); err == nil {
		t.Error("half a tar was taken for a run")
	}
	ask("POST", "/bye", "s3", nil)
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestBundleHoldsTheFilesThatAProfileNames(t *testing.T) {
	const source = "name: x\ntarget: {body: body.json}\nstages:\n  - {name: a, trace: {file: sub/t.csv}}\n"
	files := fstest.MapFS{"body.json": {Data: []byte("{}")}, "sub/t.csv": {Data: []byte("t_s,input_tokens,output_tokens\n0.5,1,1\n1.5,2,2\n")}, "other": {Data: []byte("no")}}
	o := Order{Profile: "profile.yaml"}
	var err error
	o.Files, err = Bundle(o.Profile, []byte(source), files, func(f fs.FS) error {
		_, err := profiles.Parse("x", []byte(source), f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Files) != 3 || o.Files["other"] != nil {
		t.Errorf("the order has %d files, want profile, body and trace", len(o.Files))
	}
	dir := t.TempDir()
	if err := o.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := profiles.Parse("x", o.Files[o.Profile], os.DirFS(dir)); err != nil {
		t.Errorf("the profile does not read where it was unpacked: %v", err)
	}
}

func TestJobIsRestricted(t *testing.T) {
	j, err := Job(JobOptions{Name: "f", Namespace: "n", Workers: 4, Image: "i:1", CPU: "500m", Memory: "256Mi", Lasts: time.Hour,
		Avoid: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "chat"}}})
	if err != nil {
		t.Fatal(err)
	}
	s := j.Spec.Template.Spec
	c := s.Containers[0]
	switch {
	case *j.Spec.Completions != 4 || *j.Spec.Parallelism != 4 || *j.Spec.BackoffLimitPerIndex != 0:
		t.Errorf("Job %+v: want 4 at once, none twice", j.Spec)
	case c.Resources.Requests.Cpu().Cmp(*c.Resources.Limits.Cpu()) != 0 || c.Resources.Requests.Memory().Cmp(*c.Resources.Limits.Memory()) != 0:
		t.Errorf("requests %v, limits %v: want the same", c.Resources.Requests, c.Resources.Limits)
	case *s.AutomountServiceAccountToken || !*s.SecurityContext.RunAsNonRoot || *c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem:
		t.Error("not restricted")
	}
	switch a := s.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution; {
	case len(a) != 2 || a[1].PodAffinityTerm.LabelSelector.MatchLabels["app"] != "chat" || a[1].PodAffinityTerm.TopologyKey != "kubernetes.io/hostname":
		t.Errorf("anti-affinity %+v: want the target's nodes avoided where there are others", a)
	case a[0].PodAffinityTerm.LabelSelector.MatchLabels[jobLabel] != "f" || a[0].Weight >= a[1].Weight:
		t.Errorf("anti-affinity %+v: want the workers apart, less than off the target's nodes", a)
	}
	if j.Spec.Template.Labels["sidecar.istio.io/inject"] != "false" || j.Spec.Template.Annotations["linkerd.io/inject"] != "disabled" {
		t.Error("sidecars may be injected")
	}
	if j.Spec.TTLSecondsAfterFinished == nil || *j.Spec.ActiveDeadlineSeconds <= 3600 {
		t.Errorf("Job %+v: want it to end by itself, after its hour of load", j.Spec)
	}
	for _, o := range []JobOptions{{Workers: 1, CPU: "much", Memory: "1Mi"}, {Workers: 0, CPU: "1", Memory: "1Mi"}} {
		if _, err := Job(o); err == nil {
			t.Errorf("Job(%+v): no error", o)
		}
	}
}
