//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// A component that fails during a recording must not cost a request, must be named, and must not
// lead to a recommendation. These tests stop components, so they run with -full, on our own
// cluster.

// upAndDown makes an HPA that has one or two pods scale up, and with fast clocks also down again.
const upAndDown = "[{name: low, rate: 3/s, duration: 15s}, {name: high, rate: 14/s, duration: 45s}, {name: after, rate: 2/s, duration: 40s}]"

// scaled deploys a workload with an HPA from 1 to 3 replicas at 70 % of CPU.
func (s *suite) scaled(t *testing.T) workload {
	t.Helper()
	w := s.deploy(t, s.namespace(t), tinyllm("chat"))
	s.cpuHPA(t, w, 1, 3, 70)
	return w
}

// recordHPA starts a recording of w's HPA.
func (s *suite) recordHPA(t *testing.T, w workload, stages string, more ...string) *underway {
	t.Helper()
	return s.record(t, filepath.Join(t.TempDir(), "run"),
		append([]string{"--hpa", w.namespace + "/" + w.name, "--url", w.url, "-p", profileOf(t, stages), "--controller", fastController}, more...)...)
}

// stopped kills a component, and starts it again after the given time.
func (s *suite) stopped(t *testing.T, name string, d time.Duration) (from, to time.Time) {
	t.Helper()
	if err := s.c.StopComponent(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	from = time.Now()
	say(t, "%s is killed", name)
	back := func() {
		if err := s.c.StartComponent(context.Background(), name); err != nil {
			t.Errorf("%s does not start again: %v", name, err)
		}
	}
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		back()
		t.FailNow()
	}
	back()
	say(t, "%s is started again", name)
	return from, time.Now()
}

func TestARunLosesNothingWhenTheAPIServerIsKilledAndRestarted(t *testing.T) {
	s := needFull(t)
	w := s.scaled(t)
	u := s.recordHPA(t, w, upAndDown)
	u.until(35 * time.Second)
	stop, start := s.stopped(t, "kube-apiserver", 15*time.Second)
	r := u.end()
	if r.code != 0 {
		t.Errorf("the run ends with %d, want 0: an API server that was away spoils no recording\n%s", r.code, r.stderr)
	}
	sum := s.summaryOf(t, u.dir)
	nothingLost(t, u.dir, sum)
	if sum.Partial {
		t.Errorf("the run is partial (%s): its load went on to the end", sum.Why)
	}
	if bad := sum.Load.Scheduled - sum.Load.OK; bad > sum.Load.Scheduled/50 {
		t.Errorf("%d of %d requests were not answered well: pods and Services need no API server; %v %v", bad, sum.Load.Scheduled, sum.Load.Failed, sum.Errors)
	}
	from, to := stop.Sub(u.start).Seconds(), start.Sub(u.start).Seconds()
	for _, g := range sum.Gaps {
		say(t, "gap %s %.1f to %.1f: %s", g.Source, g.FromS, g.ToS, g.Why)
	}
	blind := sum.blind(from, to, to-from-3)
	for _, source := range []string{"kube/hpa", "kube/pods", "kube/target", "kube/endpoints", "metrics.k8s.io"} {
		if !slices.Contains(blind, source) {
			t.Errorf("no gap of %s from %.0f to %.0f s is recorded; blind were %v", source, from, to, blind)
		}
	}
	if sum.doubt("observer-gaps") == "" || sum.Trust.Verdict != "unverified" {
		t.Errorf("15 of 100 s were not seen, and the run's trust is %s: %+v", sum.Trust.Verdict, sum.Trust.Reasons)
	}
	a, _, _ := s.adviceOn(t, u.dir, "--objective", "e2e.p95 < 2s")
	if err := says(strings.Join(a.Warnings, "\n"), "kube/hpa", "is no evidence"); err != nil {
		t.Errorf("tune does not say that the blind stretch is no evidence: %v", err)
	}
}

func TestARunNamesTheMinuteWithoutMetricsServer(t *testing.T) {
	s := needFull(t)
	w := s.scaled(t)
	u := s.recordHPA(t, w, upAndDown)
	u.until(20 * time.Second)
	stop, start := s.stopped(t, "metrics-server", time.Minute)
	r := u.end()
	if r.code != 0 {
		t.Errorf("the run ends with %d, want 0\n%s", r.code, r.stderr)
	}
	s.metricsBack(t, w) // the tests that follow need it
	sum := s.summaryOf(t, u.dir)
	nothingLost(t, u.dir, sum)
	from, to := stop.Sub(u.start).Seconds(), start.Sub(u.start).Seconds()
	for _, g := range sum.Gaps {
		say(t, "gap %s %.1f to %.1f: %s", g.Source, g.FromS, g.ToS, g.Why)
	}
	if blind := sum.blind(from, to, to-from-8); !slices.Contains(blind, "metrics.k8s.io") {
		t.Errorf("no gap of metrics.k8s.io from %.0f to %.0f s is recorded; blind were %v", from, to, blind)
	}
	if blind := sum.blind(0, 100, 2); slices.Contains(blind, "kube/pods") || slices.Contains(blind, "kube/hpa") {
		t.Errorf("only the metrics were away, and %v were blind", blind)
	}
	failed := 0
	for _, l := range entries(t, u.dir, "sync") {
		if l.At > from && l.At < to+15 && l.Error != "" {
			failed++
			if err := says(l.Error, "unable to get metrics for resource cpu"); err != nil {
				t.Errorf("a sync's error is not what the controller said: %v", err)
			}
		}
	}
	if failed == 0 {
		t.Error("no sync without metrics is recorded as one that failed")
	}
	a, tr, _ := s.adviceOn(t, u.dir, "--objective", "e2e.p95 < 2s")
	if err := says(strings.Join(a.Warnings, "\n")+fmt.Sprint(a.Refusal)+tr.stderr, "metrics.k8s.io"); err != nil {
		t.Errorf("tune does not say that the metrics were away: %v", err)
	}
}

// metricsBack waits until the metrics API answers for w's pods again.
func (s *suite) metricsBack(t *testing.T, w workload) {
	t.Helper()
	eventually(t, 2*time.Minute, "metrics-server answers again", func(ctx context.Context) error {
		list, err := s.dyn.Resource(podMetrics).Namespace(w.namespace).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) == 0 {
			err = errors.New("it has no figure of any pod")
		}
		return err
	})
}

var podMetrics = schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "pods"}

func TestARunRecordsPodsThatWereDeletedByHand(t *testing.T) {
	s := needFull(t)
	ns := s.namespace(t)
	p := tinyllm("chat")
	p.replicas = 3
	w := s.deploy(t, ns, p)
	s.cpuHPA(t, w, 3, 4, 70)
	pods, err := s.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + w.name})
	if err != nil || len(pods.Items) != 3 {
		t.Fatalf("%d pods, want 3 (%v)", len(pods.Items), err)
	}
	u := s.recordHPA(t, w, "[{name: steady, rate: 12/s, duration: 60s}]")
	u.until(20 * time.Second)
	now := int64(0) // as a node that dies: nobody is asked to end
	gone := map[string]bool{}
	for i, grace := range []*int64{nil, &now} {
		name := pods.Items[i].Name
		gone[name] = true
		if err := s.kube.CoreV1().Pods(ns).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: grace}); err != nil {
			t.Fatal(err)
		}
	}
	say(t, "deleted: %v", gone)
	if r := u.end(); r.code != 0 && r.code != 4 { // 4: the trust line has its doubts of the new pods' shares
		t.Errorf("the run ends with %d\n%s", r.code, r.stderr)
	}
	sum := s.summaryOf(t, u.dir)
	nothingLost(t, u.dir, sum)
	phases := map[string][]string{}
	for _, l := range entries(t, u.dir, "pod") {
		phases[l.Pod] = append(phases[l.Pod], l.Phase)
		if gone[l.Pod] && (l.Phase == "deleted" || l.Phase == "gone") && l.At < 19 || !gone[l.Pod] && l.Phase == "gone" {
			t.Errorf("pod %s: %s at %.1f s", l.Pod, l.Phase, l.At)
		}
	}
	fresh := 0
	for name, had := range phases {
		say(t, "pod %s: %v", name, had)
		want := []string{"created", "scheduled", "started", "ready"}
		switch {
		case gone[name] && name == pods.Items[0].Name:
			want = append(want, "deleted", "gone")
		case gone[name]:
			want = append(want, "gone")
		case !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.Name == name }):
			fresh++
		}
		for _, phase := range want {
			if !slices.Contains(had, phase) {
				t.Errorf("pod %s: phase %s is not recorded; it had %v", name, phase, had)
			}
		}
	}
	if fresh < 2 {
		t.Errorf("%d new pods are recorded, two were deleted", fresh)
	}
	failed := 0
	for _, n := range sum.Load.Failed {
		failed += n
	}
	if failed > 0 && len(sum.Errors) == 0 {
		t.Errorf("%d requests failed (%v), and no error's text is kept", failed, sum.Load.Failed)
	}
	if sum.Load.Failed["canceled"] > 0 || sum.Load.Failed["in_band"] > 0 {
		t.Errorf("failures that were none of these are recorded as such: %v", sum.Load.Failed)
	}
}

func TestARunNotesAnHPAEditedByHand(t *testing.T) {
	s := needFull(t)
	w := s.scaled(t)
	u := s.recordHPA(t, w, upAndDown)
	u.until(50 * time.Second)
	s.patchHPA(t, w, "kubectl-edit", `{"spec":{"maxReplicas":5,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":40}}}]}}`)
	if r := u.end(); r.code != 0 {
		t.Errorf("the run ends with %d, want 0: it had set nothing that must stay\n%s", r.code, r.stderr)
	}
	sum := s.summaryOf(t, u.dir)
	nothingLost(t, u.dir, sum)
	if err := says(sum.warned("hpa-edited"), "kubectl-edit", "cluster/hpa-edit-1.yaml"); err != nil {
		t.Errorf("the edit's warning: %v", err)
	}
	edit, err := os.ReadFile(filepath.Join(u.dir, "cluster", "hpa-edit-1.yaml"))
	if err != nil {
		t.Error(err)
	} else if err := says(string(edit), "averageUtilization: 40", "maxReplicas: 5"); err != nil {
		t.Errorf("cluster/hpa-edit-1.yaml: %v", err)
	}
	before, err := os.ReadFile(filepath.Join(u.dir, "cluster", "hpa.yaml"))
	if err != nil {
		t.Error(err)
	} else if err := says(string(before), "averageUtilization: 70", "maxReplicas: 3"); err != nil {
		t.Errorf("cluster/hpa.yaml is not what it was before the edit: %v", err)
	}
	if sum.doubt("hpa-edited") == "" || sum.Trust.Verdict == "valid" {
		t.Errorf("a run under two configurations is %s: %+v", sum.Trust.Verdict, sum.Trust.Reasons)
	}
	at := math.Inf(1)
	for _, l := range entries(t, u.dir, "warning") {
		if l.ID == "hpa-edited" {
			at = min(at, l.At)
		}
	}
	after, rescales := 0, 0
	for _, l := range entries(t, u.dir, "sync") {
		switch {
		case l.At >= at:
			after++
		case l.Spec != l.Replicas:
			rescales++
		}
	}
	a, _, _ := s.adviceOn(t, u.dir, "--objective", "e2e.p95 < 2s")
	if a.SelfReplay.Rescales > rescales {
		t.Errorf("the self-replay judges %d rescales, and only %d were before the edit at %.0f s", a.SelfReplay.Rescales, rescales, at)
	}
	if a.Shadow == nil || a.Shadow.Unknown < after {
		t.Errorf("%d syncs came after the edit, and the shadow calls %+v: all of them are unknown to it", after, a.Shadow)
	}
	if err := says(strings.Join(a.Warnings, "\n"), "edited"); err != nil {
		t.Errorf("tune does not say that the HPA was edited: %v", err)
	}
}

func TestARunKilledInMidRunKeepsItsRowsAndRestorePutsItsHPABack(t *testing.T) {
	s := needFull(t)
	w := s.scaled(t)
	file := s.changedHPA(t, w, 60)
	before := s.hpa(t, w)
	u := s.recordHPA(t, w, upAndDown, "--apply", "-f", file)
	u.until(30 * time.Second)
	if got := s.hpa(t, w); *got.Spec.Metrics[0].Resource.Target.AverageUtilization != 60 || got.Annotations["hpatune.dev/original"] == "" {
		t.Fatalf("the HPA in mid-run: %d %%, annotations %v", *got.Spec.Metrics[0].Resource.Target.AverageUtilization, got.Annotations)
	}
	killed := time.Since(u.start).Seconds()
	if err := u.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	u.end()
	sum := s.summaryOf(t, u.dir)
	if !sum.Partial || !strings.Contains(sum.Why, "killed") {
		t.Errorf("a killed run says partial %v: %q", sum.Partial, sum.Why)
	}
	last := 0.0
	for _, kind := range []string{"sync", "pod", "event"} {
		for _, l := range entries(t, u.dir, kind) {
			last = max(last, l.At)
		}
	}
	rows := 0
	for _, st := range sum.Stages {
		rows += st.Scheduled
	}
	// 3/s for 15 s, then 14/s. Two seconds of requests may still be in memory, and one in flight.
	due := 3*15 + 14*(killed-15)
	say(t, "killed at %.1f s: %d rows of %.0f arrivals, the last record of the cluster is of %.1f s", killed, rows, due, last)
	if float64(rows) < due-3*14 || float64(rows) > due+2 {
		t.Errorf("%d rows at %.1f s, where %.0f arrivals were due: more than 3 s of them are lost", rows, killed, due)
	}

	again := []string{"run", "--hpa", w.namespace + "/" + w.name, "--url", w.url, "-p", profileOf(t, "[{name: short, rate: 4/s, duration: 8s}]"),
		"--controller", fastController, "--yes", "--apply", "-f", file}
	r := s.hpatune(t, t.TempDir(), again...)
	if err := says(r.stderr, "is in use by run", u.dir); r.code != 1 || err != nil {
		t.Errorf("right after the kill the lease holds: exit code %d, %v", r.code, err)
	}
	// Nobody renews the lease, so it expires after a minute.
	eventually(t, 90*time.Second, "the dead run's lease runs out", func(ctx context.Context) error {
		l, err := s.lease(ctx, w)
		if err != nil {
			return err
		}
		if left := time.Duration(*l.Spec.LeaseDurationSeconds)*time.Second - time.Since(l.Spec.RenewTime.Time); left > 0 {
			return fmt.Errorf("%v are left of it", left)
		}
		return nil
	})
	r = s.hpatune(t, t.TempDir(), again...)
	if err := says(r.stderr, "did not restore it", "hpatune restore -n "+w.namespace); r.code != 1 || err != nil {
		t.Errorf("before the restore: exit code %d, want 1; %v", r.code, err)
	}
	r = s.hpatune(t, t.TempDir(), "restore", "-n", w.namespace)
	if err := says(r.stdout, "HorizontalPodAutoscaler/"+w.name, "restored the original spec"); r.code != 0 || err != nil {
		t.Errorf("restore: exit code %d, %v\n%s", r.code, err, r.stderr)
	}
	s.isBack(t, w, before)
	dir := t.TempDir()
	if r = s.hpatune(t, dir, append(again, "--out", filepath.Join(dir, "run"))...); r.code != 0 && r.code != 4 {
		t.Errorf("after the restore a new run ends with %d\n%s", r.code, r.stderr)
	}
	s.isBack(t, w, before)
}

// hpa reads w's HPA.
func (s *suite) hpa(t *testing.T, w workload) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	h, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Get(t.Context(), w.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// patchHPA changes w's HPA, as another user would.
func (s *suite) patchHPA(t *testing.T, w workload, who, patch string) {
	t.Helper()
	if _, err := s.kube.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Patch(t.Context(), w.name, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: who}); err != nil {
		t.Fatal(err)
	}
	say(t, "%s has changed HPA %s: %s", who, w.name, patch)
}

// lease is the lease that a run on w's Deployment takes.
func (s *suite) lease(ctx context.Context, w workload) (*coordinationv1.Lease, error) {
	return s.kube.CoordinationV1().Leases(w.namespace).Get(ctx, "hpatune-deployment-"+w.name, metav1.GetOptions{})
}
