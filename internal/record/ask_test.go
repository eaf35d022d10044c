package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/manifest"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What cannot be done is refused before anything is sent, by the flag that asks for it.
func TestAskRefusesBeforeItSends(t *testing.T) {
	url, n := answering(t, func(int64) {})
	load := writeFile(t, "p.yaml", short)
	t.Setenv("HPATUNE_HEADERS", "")
	for _, tt := range []struct {
		sentence string
		ask      func(*Ask)
		kind     failure.Kind
		says     string
	}{
		{"nothing to load", func(a *Ask) { a.URL, a.Load = "", "" }, failure.Input, "no target: pass --sandbox"},
		{"a profile without a target", func(a *Ask) { a.URL = "" }, failure.Input, "set target.url in the profile"},
		{"no profile", func(a *Ask) { a.Load = "" }, failure.Input, "no profile: pass -p FILE"},
		{"a profile that is almost one", func(a *Ask) { a.Load = "spyke" }, failure.Input, "Try: spike"},
		{"a profile that is not there", func(a *Ask) { a.Load = "./none.yaml" }, failure.Input, "profile ./none.yaml"},
		{"a rate that is none", func(a *Ask) { a.Rate = "fast" }, failure.Input, "Try: --rate 5/s"},
		{"a rate of nothing", func(a *Ask) { a.Rate = "0/s" }, failure.Input, "no request would be sent"},
		{"a header file that is not there", func(a *Ask) { a.Plan.HeaderFile = "none" }, failure.Input, "--header-file"},
		{"a CA file that is not there", func(a *Ask) { a.CAFile = "none" }, failure.Input, "--ca-file"},
		{"a CA file without a certificate", func(a *Ask) { a.CAFile = load }, failure.Input, "--ca-file " + load},
		{"an objective that is none", func(a *Ask) { a.Objectives = []string{"e2e.p95 <"} }, failure.Input, "missing"},
		{"a shard that is not there", func(a *Ask) { a.Fleet.Shard = "2/2" }, failure.Input, "try 0/2 to 1/2"},
		{"a start that is no time", func(a *Ask) { a.Fleet.Start = "noon" }, failure.Input, "not an RFC 3339 time"},
		{"a start that is over", func(a *Ask) { a.Fleet.Start = "2020-01-01T00:00:00Z" }, failure.Input, "is in the past"},
		{"fewer workers than none", func(a *Ask) { a.Fleet.Job.Workers = -1 }, failure.Input, "--workers -1"},
		{"a sandbox at no speed", func(a *Ask) { a.Sandbox, a.URL = true, "" }, failure.Input, "--speed 0: want 1 to"},
		{"a sandbox's HPA that is not there", func(a *Ask) { a.Sandbox, a.Speed, a.Filename = true, 20, "none.yaml" }, failure.Input, "none.yaml"},
		{"a URL that is none", func(a *Ask) { a.URL = "http://" }, failure.Input, "--url"},
		{"somebody who says no", func(a *Ask) {
			a.URL, a.NoProbe, a.Confirm = "http://192.0.2.1", true, func() error { return errors.New("no") }
		}, failure.Work, "no"},
	} {
		a := Ask{URL: url, Load: load, Out: filepath.Join(t.TempDir(), "run")}
		tt.ask(&a)
		err := a.Run(t.Context(), func(Plan, *results.Run, error) error { t.Errorf("%s: it was recorded", tt.sentence); return nil })
		if err == nil || failure.Of(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: Run = %v, want an error of kind %d that says %q", tt.sentence, err, tt.kind, tt.says)
		}
		if _, err := os.Stat(a.Out); err == nil {
			t.Errorf("%s: a folder was made", tt.sentence)
		}
	}
	if n.Load() > 0 {
		t.Errorf("%d requests were sent", n.Load())
	}
}

// What is asked for beside the profile is what is sent and kept, and load to this
// machine needs nobody's yes.
func TestAskOfAnEndpoint(t *testing.T) {
	url, n := answering(t, func(int64) {})
	t.Setenv("HPATUNE_HEADERS", "X-Team: a\n")
	var said []string
	a := Ask{
		Plan: Plan{Version: "test", Say: func(text string) { said = append(said, text) }},
		URL:  url, Load: writeFile(t, "p.yaml", short), Rate: "50/s", Objectives: []string{"e2e.p99 < 1s"},
		Out:     filepath.Join(t.TempDir(), "run"),
		Confirm: func() error { t.Error("it asked about load to this machine"); return nil },
	}
	err := a.Run(t.Context(), func(p Plan, run *results.Run, err error) error {
		if err != nil || p.Dir != a.Out || len(run.Requests) != 15 || !slices.Equal(run.Meta.Objectives, a.Objectives) {
			t.Errorf("in %s, %d requests, objectives %q, %v; want 15 in %s that meet %q", p.Dir, len(run.Requests), run.Meta.Objectives, err, a.Out, a.Objectives)
		}
		if p.Secrets.Get("X-Team") != "a" {
			t.Errorf("headers %v, want X-Team of the environment", p.Secrets)
		}
		return errors.New("enough")
	})
	if err == nil || err.Error() != "enough" {
		t.Errorf("Run = %v, want the error of each", err)
	}
	if got := strings.Join(said, "\n"); n.Load() != 16 || !strings.Contains(got, "15 requests in 0s, at most 50/s") {
		t.Errorf("%d requests, want 15 and one before them; said:\n%s", n.Load(), got)
	}
}

func TestEnvHeaders(t *testing.T) {
	h, err := envHeaders("Authorization: Bearer a:b\n\n X-Team : c \n")
	if err != nil || h.Get("Authorization") != "Bearer a:b" || h.Get("X-Team") != "c" {
		t.Errorf("envHeaders = %v, %v", h, err)
	}
	if _, err := envHeaders("CANARY"); failure.Of(err) != failure.Input || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a bare token: %v, want an error that does not show it", err)
	}
}

// What does not fit the workload that was found is refused by the flag that asks for it.
func TestFits(t *testing.T) {
	scaled := &kube.Subject{Namespace: "ml", Target: kube.Ref{Kind: "Deployment", Name: "x"}, HPA: &autoscalingv2.HorizontalPodAutoscaler{}}
	scaled.HPA.Name = "h"
	alone := &kube.Subject{Namespace: "ml", Target: kube.Ref{Kind: "Deployment", Name: "x"}}
	for _, tt := range []struct {
		sentence string
		ask      Ask
		subject  *kube.Subject
		says     string // "" = it fits
	}{
		{"a target of its own", Ask{Target: "x", Cluster: ClusterAsk{Fix: []int{1, 2}}}, alone, ""},
		{"the HPA's workload, as it is", Ask{HPA: "h"}, scaled, ""},
		{"with queries", Ask{HPA: "h", Cluster: ClusterAsk{PromQL: []string{"a=b"}, Prometheus: "http://p"}}, scaled, ""},
		{"a target that an HPA scales", Ask{Target: "x"}, scaled, "Try: --hpa ml/h"},
		{"sizes under an HPA", Ask{HPA: "h", Cluster: ClusterAsk{Fix: []int{1}}}, scaled, "--fix-replicas needs --target"},
		{"no size", Ask{Target: "x", Cluster: ClusterAsk{Fix: []int{0}}}, alone, "--fix-replicas 0: want 1 to 1000"},
		{"to apply without an HPA", Ask{Target: "x", Cluster: ClusterAsk{Apply: true}}, alone, "--apply needs --hpa"},
		{"to apply nothing", Ask{HPA: "h", Cluster: ClusterAsk{Apply: true}}, scaled, "--apply needs -f"},
		{"a file that is not to be applied", Ask{HPA: "h", Filename: "f"}, scaled, "pass --apply to confirm"},
		{"queries of nobody", Ask{HPA: "h", Cluster: ClusterAsk{PromQL: []string{"a=b"}}}, scaled, "--promql needs --prometheus"},
		{"credentials for nobody", Ask{HPA: "h", Cluster: ClusterAsk{PrometheusConfig: "f"}}, scaled, "--prometheus-config needs"},
	} {
		queries, err := tt.ask.fits(tt.subject)
		switch {
		case tt.says == "" && (err != nil || len(queries) != len(tt.ask.Cluster.PromQL)):
			t.Errorf("%s: fits = %v, %v", tt.sentence, queries, err)
		case tt.says != "" && (failure.Of(err) != failure.Input || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: fits = %v, want an error of the input that says %q", tt.sentence, err, tt.says)
		}
	}
}

const applicable = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: x, namespace: ml}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Foo, name: x}
  minReplicas: 1
  maxReplicas: 9
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`

func TestApplied(t *testing.T) {
	for _, tt := range []struct{ sentence, text, says, diff string }{
		{"another maximum", applicable, "", "maxReplicas"},
		{"another workload", strings.Replace(applicable, "name: x}", "name: y}", 1), "--apply cannot change the target", ""},
		{"no autoscaler", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {selector: {a: b}, ports: [{port: 80}]}\n", "no HorizontalPodAutoscaler", ""},
		{"a ScaledObject", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: x}\nspec: {minReplicaCount: 1, scaleTargetRef: {name: x}, triggers: [{type: cpu, metricType: Utilization, metadata: {value: '70'}}]}\n", "--apply cannot change the target", ""},
		{"a ScaledObject, where KEDA writes nothing", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: x}\nspec: {minReplicaCount: 1, scaleTargetRef: {kind: Foo, name: x}, triggers: [{type: cpu, metricType: Utilization, metadata: {value: '70'}}]}\n", "KEDA does not write the live HPA", ""},
	} {
		b, _ := clusterOf(t, 5)
		a := Ask{Filename: "-", Stdin: strings.NewReader(tt.text), Cluster: ClusterAsk{Apply: true}}
		out, err := a.applied(b.Subject)
		switch {
		case tt.says == "" && (err != nil || out.spec.MaxReplicas != 9 || !strings.Contains(out.diff, tt.diff)):
			t.Errorf("%s: applied = %+v, %v", tt.sentence, out, err)
		case tt.says != "" && (failure.Of(err) != failure.Input || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: applied: %v, want an error of the input that says %q", tt.sentence, err, tt.says)
		}
	}
	if out, err := (&Ask{Filename: "none"}).applied(nil); out.spec != nil || out.scaled != nil || out.diff != "" || err != nil {
		t.Errorf("nothing to apply: %+v, %v", out, err)
	}
}

// On an HPA that KEDA makes, --apply takes the ScaledObject, and an HPA is refused.
func TestAppliedOnKEDA(t *testing.T) {
	const text = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so, namespace: ml}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Foo, name: x}
  minReplicaCount: 1
  maxReplicaCount: 5
  triggers: [{type: cpu, metricType: Utilization, metadata: {value: '70'}}]
`
	for _, tt := range []struct{ sentence, text, says, diff string }{
		{"another maximum", strings.Replace(text, "Count: 5", "Count: 9", 1), "", "spec.maxReplicaCount: 5 → 9"},
		{"the same", text, "", ""},
		{"an HPA", applicable, "Try: --apply -f scaledobject.yaml", ""},
		{"one whose HPA has another name", strings.Replace(text, "name: so", "name: other", 1), "the HPA keda-hpa-other, but the live one is keda-hpa-so", ""},
	} {
		b, _ := clusterOf(t, 5)
		live, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		b.Subject.Scaled = &unstructured.Unstructured{}
		if err := b.Subject.Scaled.UnmarshalJSON(live); err != nil {
			t.Fatal(err)
		}
		b.Subject.HPA.Name, b.Subject.HPAOwner = "keda-hpa-so", manifest.Owner{Kind: "KEDA", Name: "so"}
		a := Ask{Filename: "-", Stdin: strings.NewReader(tt.text), Cluster: ClusterAsk{Apply: true}}
		out, err := a.applied(b.Subject)
		switch {
		case tt.says == "" && (err != nil || out.scaled == nil || out.diff != tt.diff):
			t.Errorf("%s: applied = %+v, %v; want %q", tt.sentence, out, err, tt.diff)
		case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: applied: %v, want %q", tt.sentence, err, tt.says)
		}
	}
}

func TestReadProfile(t *testing.T) {
	for _, name := range ProfileNames() {
		p, text, err := ReadProfile(name)
		if err != nil || len(text) == 0 || len(p.Stages) == 0 {
			t.Errorf("ReadProfile(%s) = %d stages, %d bytes, %v", name, len(p.Stages), len(text), err)
		}
	}
	_, _, err := ReadProfile(writeFile(t, "p.yaml", "name: x\nstages: [{rate: fast}]\n"))
	var ps source.Problems
	if failure.Of(err) != failure.Input || !errors.As(err, &ps) || len(ps) == 0 {
		t.Errorf("a profile with mistakes: %v; want its problems, of kind Input", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "profile.yaml"), []byte(short), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, _, err := ReadProfile(dir); err != nil || p.Name != "short" {
		t.Errorf("a run folder: %v, %v; want the profile that it sent", p, err)
	}
}

func TestConclude(t *testing.T) {
	run := func(edit func(*results.Run)) *results.Run {
		r := &results.Run{Meta: results.Meta{Target: results.Target{URL: "http://u", Protocol: "http"}, Context: map[string]string{}}}
		for i := range 100 {
			at := time.Duration(i) * 100 * time.Millisecond
			r.Requests = append(r.Requests, results.Request{Arrival: i, Scheduled: at, Sent: at, First: at + 1, Last: at + 1, Done: at + 1, Err: -1})
		}
		edit(r)
		return r
	}
	broken := errors.New("broken")
	whole := func(*results.Run) {}
	for _, tt := range []struct {
		sentence  string
		run       *results.Run
		err, want error
		note      string // "" = none
		says      string // of the error
	}{
		{"interrupted before it began", nil, context.Canceled, context.Canceled, "before anything was sent", ""},
		{"a run that never began", nil, broken, broken, "", "broken"},
		{"interrupted in the middle", run(whole), context.Canceled, context.Canceled, "the partial run is kept", ""},
		{"what is left has been said", run(whole), ErrLeft, ErrLeft, "", ""},
		{"a run that broke", run(whole), broken, broken, "", "Try: hpatune report DIR"},
		{"an abort rule", run(func(r *results.Run) { r.Meta.Client.Aborted = "error_rate 60 %" }), nil, nil, "", "the abort rule ended the run: error_rate 60 %"},
		{"nobody answered", run(func(r *results.Run) {
			for i := range r.Requests {
				r.Requests[i].Outcome = results.Connect
			}
		}), nil, nil, "", "Check that http://u is up and that its protocol is http. The run is kept."},
		{"a server that answers, and never well", run(func(r *results.Run) {
			for i := range r.Requests {
				r.Requests[i].Outcome = results.Truncated
			}
		}), nil, nil, "", "no error was recorded\nThe run is kept."},
		{"a shard", run(func(r *results.Run) { r.Meta.Context[ShardKey] = "0/2" }), nil, nil, "hpatune merge DIR", ""},
		{"a run that another load spoiled", run(func(r *results.Run) {
			half := 0.5
			r.Meta.Client.ForeignRatio = &half
		}), nil, ErrInvalid, "", "not valid evidence"},
		{"a run as it should be", run(whole), nil, nil, "", ""},
	} {
		note, end := Conclude(tt.run, tt.err, "DIR", nil)
		if (tt.note == "") != (note == "") || !strings.Contains(note, tt.note) {
			t.Errorf("%s: note %q, want %q", tt.sentence, note, tt.note)
		}
		if tt.want != nil && !errors.Is(end, tt.want) || tt.want == nil && tt.says == "" && end != nil ||
			tt.says != "" && (end == nil || !strings.Contains(end.Error(), tt.says)) {
			t.Errorf("%s: error %v, want %v that says %q", tt.sentence, end, tt.want, tt.says)
		}
	}
}

// NewSandbox runs the HPA of a file as it is written, and says what it is warned of.
func TestNewSandbox(t *testing.T) {
	b, err := NewSandbox("", 20, nil)
	if err != nil || b.HPA.MaxReplicas == 0 || b.Speed != 20 {
		t.Errorf("NewSandbox of no file = %+v, %v; want the commonly copied HPA", b, err)
	}
	b, err = NewSandbox(writeFile(t, "hpa.yaml", applicable), 5, nil)
	if err != nil || b.HPA.MaxReplicas != 9 || string(b.Manifest) != applicable {
		t.Errorf("NewSandbox of a file = %+v, %v", b, err)
	}
}
