//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAFleetsRunIsOneRunOfTheWholeSchedule(t *testing.T) {
	s := needOurs(t)
	w, dir := s.fleetTarget(t)
	run := s.start(t, dir, fleetRun(w, 2)...)
	job, pods := s.fleet(t, w.namespace, 2)

	// The API server has admitted the pods under the restricted standard. The standard does not
	// require these:
	if ttl := job.Spec.TTLSecondsAfterFinished; ttl == nil || *ttl <= 0 {
		t.Errorf("ttlSecondsAfterFinished = %v, want the Job to go by itself where its coordinator could not delete it", ttl)
	}
	for _, p := range pods {
		c := p.Spec.Containers[0].Resources
		if len(p.Spec.Containers) != 1 || c.Requests.Cpu().String() != "200m" || c.Limits.Cpu().String() != "200m" || c.Requests.Memory().String() != "128Mi" || c.Limits.Memory().String() != "128Mi" {
			t.Errorf("%s: %d containers, requests %v, limits %v; want one with 200m and 128Mi as both", p.Name, len(p.Spec.Containers), c.Requests, c.Limits)
		}
		if p.Labels["sidecar.istio.io/inject"] != "false" || p.Annotations["sidecar.istio.io/inject"] != "false" || p.Annotations["linkerd.io/inject"] != "disabled" {
			t.Errorf("%s: labels %v, annotations %v; want no sidecars", p.Name, p.Labels, p.Annotations)
		}
		if p.Spec.AutomountServiceAccountToken == nil || *p.Spec.AutomountServiceAccountToken {
			t.Errorf("%s has a service account's token", p.Name)
		}
	}
	secret, err := s.kube.CoreV1().Secrets(w.namespace).Get(t.Context(), job.Name, metav1.GetOptions{})
	if err != nil || len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != job.UID {
		t.Errorf("Secret %v, %v; want it to belong to the Job", secret, err)
	}
	// While it runs, a second run of any kind on the target is refused.
	if r := s.hpatune(t, t.TempDir(), "run", "--hpa", w.namespace+"/"+w.name, "--url", w.url, "-p", "steady", "--yes"); r.code != 1 || !strings.Contains(r.stderr, "is in use by run") {
		t.Errorf("a second run on the target: exit code %d; want 1 and by whom it is held\n%s", r.code, r.stderr)
	}

	r := run.wait()
	if r.code != 0 && r.code != 4 { // 4: not valid; how late this machine is, is no question here
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	if !strings.Contains(r.stderr, "the workers send from") || strings.Contains(r.stderr, "answered") {
		t.Errorf("it does not say that nothing is known of the load until its end:\n%s", r.stderr)
	}
	got, want := r.said(t), len(s.scheduled(t, dir))
	say(t, "%s: %+v", got.Trust.Verdict, got.Load)
	if got.Load.Scheduled != want || got.Load.Sent != want || got.Partial {
		t.Errorf("%+v, want all of %d arrivals scheduled and sent\n%s", got, want, r.stderr)
	}
	// On a busy machine short answers may come in one piece. Both workers may see that, and the run
	// reports it once.
	said := map[string]bool{}
	for _, w := range got.Warnings {
		if w.ID != "not-streamed" || said[w.ID] {
			t.Errorf("warning %+v, want none but not-streamed, and that once", w)
		}
		said[w.ID] = true
	}
	// The target's own counter: each request once.
	var answered float64
	eventually(t, 10*time.Second, "the target has counted", func(context.Context) (err error) {
		answered, err = s.counter(w.url+"/metrics", "vllm:request_success_total")
		return err
	})
	if int(answered) != got.Load.OK {
		t.Errorf("the target has answered %v requests, the run has %d good answers", answered, got.Load.OK)
	}
	folder := onlyRun(t, dir)
	records, err := os.ReadFile(filepath.Join(folder, "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	shards := map[int]bool{}
	kinds := map[string]int{}
	for line := range strings.Lines(string(records)) {
		var v struct {
			Type   string
			Shard  int
			Offset *float64 `json:"offset_s"`
			Error  float64  `json:"error_s"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		kinds[v.Type]++
		if v.Type == "offset" {
			shards[v.Shard] = v.Offset != nil && v.Error > 0
			say(t, "%s", strings.TrimSpace(line))
		}
	}
	if !maps.Equal(shards, map[int]bool{0: true, 1: true}) {
		t.Errorf("clock offsets of shards %v, want 0 and 1, each with its error", shards)
	}
	if kinds["sync"] == 0 || kinds["pod"] == 0 { // the autoscaler was watched meanwhile
		t.Errorf("records by kind %v, want syncs and pods among them", kinds)
	}
	s.nothingLeft(t, w.namespace)
}

func TestALostWorkerIsNamedAndItsShareIsUndelivered(t *testing.T) {
	s := needFull(t)
	w, dir := s.fleetTarget(t)
	run := s.start(t, dir, fleetRun(w, 2)...)
	_, pods := s.fleet(t, w.namespace, 2)
	eventually(t, time.Minute, "the load is on", func(context.Context) error {
		n, err := s.counter(w.url+"/metrics", "vllm:request_success_total")
		if err == nil && n < 40 {
			err = fmt.Errorf("%v answers", n)
		}
		return err
	})
	i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Annotations[batchv1.JobCompletionIndexAnnotation] == "1" })
	if i < 0 {
		t.Fatal("no pod of index 1")
	}
	lost := pods[i].Name
	now := int64(0)
	if err := s.kube.CoreV1().Pods(w.namespace).Delete(t.Context(), lost, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	r := run.wait()
	if r.code != 4 {
		t.Errorf("exit code %d, want 4: half of the load was not delivered\n%s", r.code, r.stderr)
	}
	got, all := r.said(t), s.scheduled(t, dir)
	share := 0
	for _, index := range all {
		share += index % 2
	}
	if got.Load.Scheduled != len(all) || got.Load.Sent != len(all)-share || got.Load.Shed != share {
		t.Errorf("%+v; want %d scheduled, and the lost worker's %d not sent", got.Load, len(all), share)
	}
	if got.Trust.Verdict != "invalid" || !got.Partial || !strings.Contains(got.Why, lost) || !strings.Contains(r.stdout, "was lost: its pod was deleted") {
		t.Errorf("verdict %q, partial %v: %q; want invalid, and %s named as lost", got.Trust.Verdict, got.Partial, got.Why, lost)
	}
	for _, reason := range got.Trust.Reasons {
		say(t, "%s: %s", reason.Verdict, reason.Text)
	}
	onlyRun(t, dir)
	s.nothingLeft(t, w.namespace)
}

func TestAFleetThatDoesNotComeUpSaysWhyAndLeavesNothing(t *testing.T) {
	s := needFull(t)
	w, dir := s.fleetTarget(t)
	quota := fmt.Sprintf("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: small, namespace: %s}\nspec: {hard: {limits.cpu: 300m}}\n", w.namespace)
	for _, tt := range []struct {
		name string
		args []string
		says []string
		set  func()
	}{
		{"an image that no registry has", []string{"--image", "nowhere.invalid/hpatune:none"}, []string{"ErrImagePull", "nowhere.invalid/hpatune:none"}, nil},
		{"an image whose name cannot be", []string{"--image", "UPPER:none"}, []string{"InvalidImageName"}, nil},
		{"a quota that is too small", []string{"--worker-timeout", "10s"}, []string{"exceeded quota: small"}, func() { s.apply(t, "", quota) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.set != nil {
				tt.set()
			}
			r := s.hpatune(t, dir, append(fleetRun(w, 2), tt.args...)...)
			say(t, "%s", r.stderr)
			if r.code != 1 {
				t.Errorf("exit code %d, want 1", r.code)
			}
			for _, want := range append(tt.says, "nothing was sent") {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("%q is not in what it says", want)
				}
			}
			if n, err := s.counter(w.url+"/metrics", "vllm:request_success_total"); err != nil || n != 0 {
				t.Errorf("the target has answered %v requests, %v; want none", n, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "results")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is a run folder (%v)", err)
			}
			s.nothingLeft(t, w.namespace)
		})
	}
}

func TestAFleetsSecretHeadersReachTheTargetAndNoDisk(t *testing.T) {
	s := needFull(t)
	w, dir := s.fleetTarget(t)
	const value = "Bearer pls-do-not-write-me-down"
	if err := os.WriteFile(filepath.Join(dir, "token.txt"), []byte("Authorization: "+value), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy, seen := s.gate(t, w)
	run := s.start(t, dir, fleetRun(w, 2, "--url", proxy, "--header-file", "token.txt")...)
	r := run.wait()
	if r.code != 0 && r.code != 4 {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	// Each arrival sent one request: that it came, and with which header.
	arrivals, headers := seen()
	if want := s.scheduled(t, dir); !slices.Equal(arrivals, want) {
		t.Errorf("%d arrivals came through, want the %d of the schedule once each", len(arrivals), len(want))
	}
	if !maps.Equal(headers, map[string]bool{value: true}) {
		t.Errorf("the requests had Authorization %d different ways, want the file's value only", len(headers))
	}
	s.nothingLeft(t, w.namespace)
	if strings.Contains(r.stdout+r.stderr, value) {
		t.Error("the value was printed")
	}
	if err := filepath.WalkDir(filepath.Join(dir, "results"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), "pls-do-not-write-me-down") {
			t.Errorf("%s has the value", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCtrlCEndsAFleetAndKeepsWhatItHasSent(t *testing.T) {
	s := needFull(t)
	w, dir := s.fleetTarget(t)
	run := s.start(t, dir, fleetRun(w, 2)...)
	s.fleet(t, w.namespace, 2)
	eventually(t, time.Minute, "the load is on", func(context.Context) error {
		n, err := s.counter(w.url+"/metrics", "vllm:request_success_total")
		if err == nil && n < 40 {
			err = fmt.Errorf("%v answers", n)
		}
		return err
	})
	if err := run.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r := run.wait()
	if r.code != 130 {
		t.Errorf("exit code %d, want 130\n%s", r.code, r.stderr)
	}
	got, all := r.said(t), len(s.scheduled(t, dir))
	say(t, "%q, %+v", got.Why, got.Load)
	if !got.Partial || got.Why != "interrupted" || got.Load.Sent < 40 || got.Load.Sent >= all || got.Load.Shed > 1 {
		t.Errorf("partial %v (%s), %+v; want a part of the %d arrivals, all that were due sent", got.Partial, got.Why, got.Load, all)
	}
	s.nothingLeft(t, w.namespace)
	answered, err := s.counter(w.url+"/metrics", "vllm:request_success_total")
	if err != nil {
		t.Fatal(err)
	}
	if int(answered) >= all {
		t.Errorf("the target answered %v requests after all", answered)
	}
	onlyRun(t, dir)
}
