package record

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

const short = `name: short
stages:
  - {name: all, rate: 100/s, duration: 300ms, arrivals: constant}
objectives: ["e2e.p95 < 5s"]
`

const long = `name: long
stages:
  - {name: all, rate: 100/s, duration: 10m, arrivals: constant}
`

func planOf(t *testing.T, bed Bed, profile string) Plan {
	t.Helper()
	p, err := profiles.Parse("p.yaml", []byte(profile), nil)
	if err != nil {
		t.Fatal(err)
	}
	return Plan{Dir: filepath.Join(t.TempDir(), "run"), Version: "test", Bed: bed, Profile: p, Source: []byte(profile), Seed: 1}
}

// answering is an endpoint that counts, and calls each of its requests.
func answering(t *testing.T, each func(n int64)) (url string, n *atomic.Int64) {
	n = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" { // asked for its own count of requests
			http.NotFound(w, r)
			return
		}
		each(n.Add(1))
		w.Write([]byte("ok\n"))
	}))
	t.Cleanup(s.Close)
	return s.URL, n
}

// bed is an endpoint whose way in and way back fail as told, and are noted.
type bed struct {
	Endpoint
	prepare, open, back error
	scene               func(*Session, *Scene)
	did                 []string
}

func (b *bed) Prepare(ctx context.Context, p *Plan) (Timing, error) {
	b.did = append(b.did, "prepare")
	t, _ := b.Endpoint.Prepare(ctx, p)
	return t, b.prepare
}

func (b *bed) Open(s *Session) (Scene, error) {
	b.did = append(b.did, "open")
	scene, _ := b.Endpoint.Open(s)
	if b.scene != nil {
		b.scene(s, &scene)
	}
	return scene, b.open
}

func (b *bed) PutBack(ctx context.Context, _ *Plan) error {
	b.did = append(b.did, "put back")
	if ctx.Err() != nil {
		b.did = append(b.did, "with a context that has ended")
	}
	return b.back
}

func TestARunOfAnEndpointIsKept(t *testing.T) {
	url, n := answering(t, func(int64) {})
	p := planOf(t, Endpoint{url + "/v1?token=secret"}, short)
	p.Shard = fleet.Shard{I: 1, N: 3}
	run, err := Record(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(run.Requests); got != 10 || n.Load() != 10 {
		t.Errorf("%d requests in the run, %d at the endpoint; want 10 of 30, a shard of three", got, n.Load())
	}
	m := run.Meta
	if m.Target.Kind != "url" || m.Target.URL != url+"/v1" || m.Context[ShardKey] != "1/3" || m.Partial || m.Version != "test" {
		t.Errorf("meta = %+v, %v; want a whole run of shard 1/3 of the URL without its query", m.Target, m.Context)
	}
	if _, err := store.Open(os.DirFS(p.Dir)); err != nil {
		t.Error(err)
	}
}

// PutBack is called on every exit, once, with a context that still works.
func TestEveryExitPutsBack(t *testing.T) {
	broken := errors.New("broken")
	url, _ := answering(t, func(int64) {})
	for _, tt := range []struct {
		sentence string
		bed      bed
		recorded bool
		want     error
		did      string
	}{
		{"a bed that cannot be prepared is put back as far as it was", bed{prepare: broken}, false, broken, "prepare, put back"},
		{"so is one that cannot be opened", bed{open: broken}, false, broken, "prepare, open, put back"},
		{"and one that was loaded", bed{}, true, nil, "prepare, open, put back"},
		{"a way back that fails is said, and fails a whole run", bed{back: broken}, true, ErrLeft, "prepare, open, put back"},
		{"but does not hide why a run failed", bed{prepare: broken, back: errors.New("worse")}, false, broken, "prepare, put back"},
		{"what watches and fails ends the run", bed{scene: func(_ *Session, s *Scene) {
			s.Watch = func(context.Context, results.Emit) error { return broken }
		}}, true, broken, "prepare, open, put back"},
		{"a change that somebody undid ends the run", bed{scene: func(_ *Session, s *Scene) {
			s.Watch = func(ctx context.Context, emit results.Emit) error {
				emit(results.Warning{ID: "change-undone"})
				<-ctx.Done()
				return nil
			}
		}}, true, ErrUndone, "prepare, open, put back"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			b := tt.bed
			b.URL = url
			var said []string
			p := planOf(t, &b, short)
			p.Say = func(text string) { said = append(said, text) }
			run, err := Record(t.Context(), p)
			if !errors.Is(err, tt.want) || (run != nil) != tt.recorded {
				t.Errorf("Record = %v, %v; want a run: %v, and %v", run != nil, err, tt.recorded, tt.want)
			}
			if got := strings.Join(b.did, ", "); got != tt.did {
				t.Errorf("the bed was asked to %s, want %s", got, tt.did)
			}
			if left := strings.Contains(strings.Join(said, "\n"), "hpatune: "); left != (b.back != nil) {
				t.Errorf("said %q, with a way back that ended in %v", said, b.back)
			}
			if run != nil && tt.want != nil && !errors.Is(tt.want, ErrLeft) && (!run.Meta.Partial || run.Meta.Why != tt.want.Error()) {
				t.Errorf("partial %v, why %q; want %q", run.Meta.Partial, run.Meta.Why, tt.want)
			}
		})
	}
}

func TestCtrlCKeepsWhatWasRecorded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	url, _ := answering(t, func(n int64) {
		if n == 20 {
			cancel()
		}
	})
	b := &bed{Endpoint: Endpoint{url}}
	run, err := Record(ctx, planOf(t, b, long))
	if !errors.Is(err, context.Canceled) || run == nil {
		t.Fatalf("Record = %v, %v; want a partial run and context.Canceled", run, err)
	}
	if !run.Meta.Partial || run.Meta.Why != "interrupted" || len(run.Requests) < 20 {
		t.Errorf("partial %v, why %q, %d requests; want an interrupted run of 20 or more", run.Meta.Partial, run.Meta.Why, len(run.Requests))
	}
	if got := strings.Join(b.did, ", "); got != "prepare, open, put back" {
		t.Errorf("after Ctrl-C the bed was asked to %s", got)
	}
}

// A scene is taken at its word: its files are kept, its counts stand, and it
// may send by itself.
func TestTheSceneIsFollowed(t *testing.T) {
	url, n := answering(t, func(int64) {})
	var records atomic.Int64
	b := &bed{Endpoint: Endpoint{url}, scene: func(session *Session, s *Scene) {
		s.Files = map[string][]byte{"hpa.yaml": []byte("kind: HorizontalPodAutoscaler\n")}
		s.Answered = func(r results.Record) {
			if _, ok := r.(results.Request); ok {
				records.Add(1)
			}
		}
		s.Watch = func(ctx context.Context, _ results.Emit) error {
			session.File("later.yaml", []byte("kind: Deployment\n"))
			<-ctx.Done()
			return nil
		}
		s.Conclude = func(m *results.Meta, sent int64) { m.Client.FloorS = float64(sent) }
	}}
	run, err := Record(t.Context(), planOf(t, b, short))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hpa.yaml", "later.yaml"} {
		if len(run.Cluster[name]) == 0 {
			t.Errorf("cluster/%s is not kept", name)
		}
	}
	if n.Load() != 30 || records.Load() != 30 || run.Meta.Client.FloorS != 30 {
		t.Errorf("%d arrived, %d were told, %v concluded; want 30 each", n.Load(), records.Load(), run.Meta.Client.FloorS)
	}
}

func TestASandboxIsRecorded(t *testing.T) {
	const profile = `name: box
target: {protocol: openai-completions, model: m}
stages: [{name: all, rate: 5/s, duration: 4s, arrivals: constant}]
`
	box := &Sandbox{HPA: someHPA(), Manifest: []byte("kind: HorizontalPodAutoscaler\n"), Speed: 10}
	p := planOf(t, box, profile)
	if note := ForSandbox(p.Profile); note != "" {
		t.Errorf("an OpenAI profile was changed: %s", note)
	}
	run, err := Record(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	m := run.Meta
	if m.Target.Kind != "sandbox" || m.Target.URL != "" || m.Speed != 10 || m.Client.ForeignRatio == nil || len(run.Requests) != 20 || len(run.Pods) == 0 {
		t.Errorf("kind %q, URL %q, speed %v, foreign %v, %d requests, %d pods; want 20 requests at a box that counted, and its pods",
			m.Target.Kind, m.Target.URL, m.Speed, m.Client.ForeignRatio, len(run.Requests), len(run.Pods))
	}
}

func TestShardsAreUnited(t *testing.T) {
	url, _ := answering(t, func(int64) {})
	var folders []string
	for i := range 2 {
		p := planOf(t, Endpoint{url}, short)
		p.Shard = fleet.Shard{I: i, N: 2}
		if _, err := Record(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, p.Dir)
	}
	merged, err := Unite(folders)
	if err != nil {
		t.Fatal(err)
	}
	run, err := Keep(filepath.Join(t.TempDir(), "merged"), merged)
	if err != nil || len(run.Requests) != 30 || run.Meta.Run != "merged" || run.Meta.Context["shards"] != "2" {
		t.Errorf("Keep = %v; %d requests of run %q", err, len(run.Requests), run.Meta.Run)
	}
	for sentence, given := range map[string][]string{
		"a shard that is given twice": {folders[0], folders[0]},
	} {
		if _, err := Unite(given); failure.Of(err) != failure.Input {
			t.Errorf("%s: Unite = %v, want an error of the input", sentence, err)
		}
	}
}

func TestHarm(t *testing.T) {
	t.Setenv("HPATUNE_DENY", "prod-*, 10.0.0.1")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, tt := range []struct {
		sentence, url, says string // says "" = load may be sent
	}{
		{"an address", "http://127.0.0.1:8000", ""},
		{"a gRPC one", "grpc://127.0.0.1:8001", ""},
		{"no scheme is http", "127.0.0.1:8000", ""},
		{"no host", "http://:8000", "http://:8000: names no host"},
		{"a scheme that carries no load", "ftp://h/", `ftp://h/: scheme "ftp"`},
		{"a host on the deny list, without a scheme", "prod-eu:80", "deny list"},
		{"a host on the deny list", "http://prod-eu:80/", `host prod-eu is on the deny list ("prod-*" in HPATUNE_DENY)`},
		{"an address on it", "http://10.0.0.1/", "deny list"},
		{"a secret is not repeated", "ftp://user:CANARY@h/?key=CANARY", "ftp://h/: scheme"},
	} {
		_, _, err := CheckURL(tt.url)
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("%s: CheckURL(%q) = %v, want nil", tt.sentence, tt.url, err)
		case tt.says != "" && (failure.Of(err) != failure.Input || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "CANARY")):
			t.Errorf("%s: CheckURL(%q) = %v, want an error of the input that says %q", tt.sentence, tt.url, err, tt.says)
		}
	}
	if Denied("prod-1", "context") == nil || Denied("kind", "context") != nil {
		t.Error("contexts are not held against the deny list")
	}
}

func someHPA() hpa.Config { return hpa.DefaultConfig(3) }
