//go:build linux

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestARunNotesWhatSomebodyElseDidInMidRun: each change is a reason on the trust line, and the run
// is no evidence for what follows it.
func TestARunNotesWhatSomebodyElseDidInMidRun(t *testing.T) {
	s := needFull(t)
	for _, tt := range []struct {
		name    string
		do      func(t *testing.T, w workload) error
		id      string   // of the warning and of the trust line's reason
		warning []string // what the warning says
		tune    string   // what tune warns of
	}{
		{"kubectl scale", func(t *testing.T, w workload) error {
			_, err := s.kube.AppsV1().Deployments(w.namespace).UpdateScale(t.Context(), w.name, &autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Name: w.name, Namespace: w.namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 3},
			}, metav1.UpdateOptions{FieldManager: "kubectl"})
			return err
		}, "target-scaled", []string{"chat", "3 replicas", "kubectl", "HPA"}, "scaled the target"},
		{"kubectl delete hpa", func(t *testing.T, w workload) error {
			return s.kube.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Delete(t.Context(), w.name, metav1.DeleteOptions{})
		}, "hpa-deleted", []string{"HPA", "deleted"}, "deleted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := s.scaled(t)
			u := s.recordHPA(t, w, "[{name: steady, rate: 4/s, duration: 60s}]")
			u.until(25 * time.Second)
			if err := tt.do(t, w); err != nil {
				t.Fatal(err)
			}
			at := time.Since(u.start).Seconds()
			if r := u.end(); r.code != 0 && r.code != 4 { // 4: how late this machine is, is no question here
				t.Errorf("the run ends with %d, want 0: its load went on\n%s", r.code, r.stderr)
			}
			sum := s.summaryOf(t, u.dir)
			nothingLost(t, u.dir, sum)
			if err := says(sum.warned(tt.id), tt.warning...); err != nil {
				t.Errorf("the warning: %v", err)
			}
			i := slices.IndexFunc(entries(t, u.dir, "warning"), func(e entry) bool { return e.ID == tt.id && e.At > at-5 && e.At < at+10 })
			if i < 0 {
				t.Errorf("no warning %s is recorded near %.0f s, when it was done", tt.id, at)
			}
			if sum.doubt(tt.id) == "" || sum.Trust.Verdict == "valid" {
				t.Errorf("the run is %s, with %+v; want %s among the reasons", sum.Trust.Verdict, sum.Trust.Reasons, tt.id)
			}
			a, _, _ := s.adviceOn(t, u.dir, "--objective", "e2e.p95 < 2s")
			if err := says(strings.Join(a.Warnings, "\n"), tt.tune); err != nil {
				t.Errorf("tune does not say it: %v", err)
			}
			if sum.Partial {
				t.Errorf("the run is partial (%s): its load went on to the end", sum.Why)
			}
		})
	}
}
