package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/manifest"
)

// load reads a fixture and the facts of its first line: "# facts: startup=90s".
// also are other ids that it raises beside its own.
func load(t *testing.T, file string) (f Facts, also []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, problems := manifest.Options{}.Read(file, data)
	for i := range docs {
		if len(docs[i].Problems) > len(docs[i].Refused) { // what KEDA refuses is a finding
			problems = append(problems, docs[i].Problems...)
		}
	}
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	f.Docs = docs
	head, _, _ := strings.Cut(string(data), "\n")
	words, told := strings.CutPrefix(head, "# facts: ")
	if !told {
		return f, nil
	}
	for _, w := range strings.Fields(words) {
		key, value, _ := strings.Cut(w, "=")
		name, text, _ := strings.Cut(value, ":")
		number, _ := strconv.ParseFloat(text, 64)
		length, _ := time.ParseDuration(value)
		switch key {
		case "live":
			f.Live = true
		case "now":
			if f.Now, err = time.Parse(time.RFC3339, value); err != nil {
				t.Fatal(err)
			}
		case "memoryfalls":
			f.Told.MemoryFalls = true
		case "startup":
			f.Told.Startup = length
		case "longest":
			f.Told.LongestAnswer = length
		case "series":
			f.Told.Series = map[string]int{name: int(number)}
		case "usage":
			f.Told.Usage = map[string]float64{name: number}
		case "probe": // of shop/web
			i, _ := strconv.Atoi(name)
			f.Probes = map[string]map[int]Probe{"shop/web": {i: {Series: int(number)}}}
		case "served":
			f.Served = map[string]string{name: text}
		case "also":
			also = append(also, value)
		default:
			t.Fatalf("%s: fact %q is not known", file, key)
		}
	}
	return f, also
}

// all returns the findings of all HPAs.
func all(hpas []HPA) (out []Finding) {
	for _, h := range hpas {
		out = append(out, h.Findings...)
	}
	return out
}

func ids(findings []Finding) (out []string) {
	for _, x := range findings {
		out = append(out, x.ID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestChecks: ID--raises*.yaml raises its check and no other (but for also=),
// ID--healthy*.yaml lets it judge and raises nothing (but for also=).
func TestChecks(t *testing.T) {
	for _, c := range Checks {
		for _, verdict := range []string{"raises", "healthy"} {
			files, err := filepath.Glob(filepath.Join("testdata", c.ID+"--"+verdict+"*.yaml"))
			if err != nil || len(files) == 0 {
				t.Errorf("check %s has no fixture that is %s", c.ID, verdict)
			}
			for _, file := range files {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
					f, also := load(t, file)
					hpas, ran, err := judge(f, "")
					if err != nil {
						t.Fatal(err)
					}
					if ran[c.ID] == 0 {
						t.Fatalf("check %s never ran on %s", c.ID, file)
					}
					want := also
					if verdict == "raises" {
						want = append(also, c.ID)
					}
					slices.Sort(want)
					findings := all(hpas)
					if got := ids(findings); !slices.Equal(got, want) {
						t.Errorf("judge(%s) = %v, want %v\n%+v", file, got, want, findings)
					}
					for _, x := range findings {
						if x.Object == "" || x.HPA == "" || x.Why == "" || x.Fix == "" || x.Link == "" || !f.Live && (x.File == "" || x.Line == 0) {
							t.Errorf("finding lacks a part: %+v", x)
						}
					}
				})
			}
		}
	}
}

func TestEverybodysConfiguration(t *testing.T) {
	docs, problems := manifest.Parse("handwritten.yaml", []byte(manifest.Handwritten))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	hpas, err := Judge(Facts{Docs: docs}, "")
	got := all(hpas)
	if want := []string{"dead-policy", "memory-target"}; err != nil || !slices.Equal(ids(got), want) || len(got) != 2 {
		t.Errorf("Judge(handwritten) = %v, %v, want %v", got, err, want)
	}
}

func TestIgnore(t *testing.T) {
	for text, want := range map[string]int{
		"min-one we accept it": 0,
		"min-one":              1, // a silence needs a reason
		"no-behavior why not":  1,
	} {
		f, _ := load(t, filepath.Join("testdata", "min-one--raises.yaml"))
		f.Docs[0].HPA.Annotations = map[string]string{Ignore: text}
		if hpas, err := Judge(f, ""); err != nil || len(all(hpas)) != want {
			t.Errorf("Judge with %s: %q = %v, %v, want %d findings", Ignore, text, hpas, err, want)
		}
	}
}

func TestPageListsEveryCheck(t *testing.T) {
	page, seen := Page(), map[string]bool{}
	for _, c := range Checks {
		if !strings.Contains(page, "\n"+c.ID+" ("+string(c.Severity)+")\n  "+c.Title+"\n  Fix: "+c.Fix+"\n") || c.Link == "" || seen[c.ID] || c.Severity.rank() < 0 {
			t.Errorf("check %q is missing from the page, incomplete or twice there", c.ID)
		}
		seen[c.ID] = true
	}
}

// A fix names fields of the object that a person edits, and does not ask for what is there.
func TestFixesAreOfTheObject(t *testing.T) {
	const cpu = "  triggers: [{type: cpu, metricType: Utilization, metadata: {value: \"50\"}}]\n"
	const query = "  triggers: [{type: prometheus, metadata: {serverAddress: http://p, query: up, threshold: \"5\"}}]\n"
	for _, tt := range []struct{ sentence, spec, id, why, fix string }{
		{"one replica", "  minReplicaCount: 1\n" + cpu, "min-one", "with 1 replica", "set minReplicaCount: 2 or more"},
		{"a fixed size", "  minReplicaCount: 3\n  maxReplicaCount: 3\n" + cpu, "fixed-size",
			"minReplicaCount and maxReplicaCount are both 3", "raise maxReplicaCount"},
		{"a minimum above the maximum", "  minReplicaCount: 20\n  maxReplicaCount: 10\n" + query, refusedID,
			"minReplicaCount 20 is above", "minReplicaCount: 10, or maxReplicaCount: 20"},
		{"an idle size of 0 with a minimum of 0", "  idleReplicaCount: 0\n" + query, refusedID, "is not below", "remove idleReplicaCount"},
		{"an idle size above the minimum", "  idleReplicaCount: 4\n  minReplicaCount: 2\n" + query, refusedID, "is not below", "idleReplicaCount: 0, with"},
		{"text for a number", "  minReplicaCount: '2'\n" + query, refusedID, "spec.minReplicaCount", "2, without quotes"},
	} {
		docs, _ := manifest.Options{}.Read("so.yaml", []byte("apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"+
			"metadata: {name: web}\nspec:\n  scaleTargetRef: {name: web}\n"+tt.spec))
		hpas, err := Judge(Facts{Docs: docs}, "")
		if err != nil {
			t.Fatal(err)
		}
		found := all(hpas)
		if i := slices.IndexFunc(found, func(x Finding) bool { return x.ID == tt.id }); i < 0 ||
			!strings.Contains(found[i].Why, tt.why) || !strings.Contains(found[i].Fix, tt.fix) || found[i].Line < 4 {
			t.Errorf("%s: findings %+v, want %s with %q, to mend by %q", tt.sentence, found, tt.id, tt.why, tt.fix)
		}
	}
}

func TestFindingsSayWhy(t *testing.T) {
	for fixture, want := range map[string]string{
		"slow-growth--raises":                       "each decision grows the size at most 1.25 times, so it takes 5 decisions to reach 4× the load (2 to 8 replicas)",
		"unreachable-target--raises":                "cpu can reach at most 200 %, but the HPA scales up only above 209 % (target 190, tolerance 0.1)",
		"missing-request--raises-injected":          "container proxy has no cpu request",
		"missing-request--raises-main":              "container app has no cpu request",
		"short-window--raises-by-pods":              "a pod takes 40s (from created to ready, median of 3 pods)",
		"keda-cooldown--raises-by-pods":             "cooldownPeriod 10s is shorter than a pod's start-up time of 40s (from created to ready, by 1 pod)",
		"policy-cascade--raises":                    "a starting pod counts as 0 CPU",
		"policy-cascade--raises-queue":              "passes 3 times while a pod starts, which takes 1m30s",
		"early-readiness--raises-flip":              "pod web-2 was ready, and has been unready since 2026-11-24T11:50:00Z without a restart",
		"far-request--raises-now":                   "cpu use now (1 ready pods, 4 replicas, min 2) is 10 % of the request",
		"far-request--raises-memory":                "memory use now (1 ready pods, 2 replicas, min 2) is 300 % of the request",
		"max-beyond-quota--raises-with-others":      "8 replicas request 8 of requests.cpu in addition to the 3 that others use, but ResourceQuota/shop/all allows 10",
		"max-beyond-nodes--raises-selected":         "the 1 node that its nodeSelector allows holds at most 4",
		"manifest-replicas--raises-applied":         "each apply of kubectl sets the size to 3",
		"manifest-replicas--raises-owned":           "each apply of argocd-controller sets the size to 5",
		"no-series--raises-not-served":              "the cluster serves no external.metrics.k8s.io",
		"no-series--raises-probed":                  "external.metrics.k8s.io has no series for External metric orders_open now",
		"failing-event--raises-condition":           "FailedGetResourceMetric (CPU or memory could not be read): the HPA was unable to compute",
		"failing-event--raises-one-of-two":          "does not scale down: unable to get external metric shop/orders_open",
		"target-kind--raises-extensions":            "extensions/v1beta1 was removed in Kubernetes 1.16",
		"target-kind--raises-plural":                `apps/v1 has no kind "Deployments"`,
		"target-kind--raises-daemonset":             "DaemonSet has no /scale",
		"target-missing--raises-name":               "Deployment/shop/web (testdata/target-missing--raises-name.yaml:12) has a similar name",
		"target-missing--raises-namespace":          "is in another namespace",
		"no-container--raises":                      "the pods have no container server (they have app)",
		"odd-quantity--raises-milli":                "400m, which is 0.4 bytes (m is a thousandth)",
		"odd-quantity--raises-cores":                "500, which is 500 cores",
		"odd-quantity--raises-request":              "container app requests memory: 512, which is 512 bytes",
		"target-type--raises-object":                "uses the type, so the metric has no target",
		"shared-pods--raises":                       "these have no cpu request, so the metric always fails",
		"shared-pods--raises-job":                   "Job/shop/migrate",
		"two-hpas--raises-same-pods":                "selects pods of the same labels (its target is Deployment/",
		"hpa-and-vpa--raises-sidecar-off":           "changes the cpu request of container app",
		"gpu-utilization--raises":                   "keeps it near 100 % at a fraction of its capacity",
		"counter-signal--raises-triton":             "nv_inference_request_success is a counter: it only grows",
		"gone-metric--raises":                       "vllm:gpu_cache_usage_perc was removed in vLLM 0.11",
		"unreachable-target--raises-ratio":          "can reach at most 1, but the HPA scales up only above 66 (target 60, tolerance 0.1): vllm:kv_cache_usage_perc of vLLM is a ratio",
		"metric-unit--raises":                       "is in percent, 0 to 100, but the target is 0.6",
		"averaged-signal--raises-ratio":             "for a ratio that is at most 2",
		"keda-wake--raises":                         "at 0 replicas no pod exports vllm:num_requests_waiting",
		"keda-zero--raises":                         "(pollingInterval 15s)",
		"keda-paused--raises":                       "the size is fixed at 3",
		"averaged-signal--raises-query":             "s0-prometheus (avg of vllm:kv_cache_usage_perc) is already a mean",
		"unreachable-target--raises-query":          "s0-prometheus can reach at most 1",
		"keda-cooldown--raises-scaled-object-alone": "cooldownPeriod 30s is shorter than a pod's start-up time of 1m30s",
		"metrics-server--raises":                    "v1beta1.metrics.k8s.io is registered but unavailable: no endpoints",
	} {
		t.Run(fixture, func(t *testing.T) {
			f, _ := load(t, filepath.Join("testdata", fixture+".yaml"))
			hpas, err := Judge(f, "")
			id, _, _ := strings.Cut(fixture, "--")
			for _, x := range all(hpas) {
				if x.ID == id && strings.Contains(x.Why, want) {
					return
				}
			}
			t.Errorf("Judge(%s) = %+v, %v, want %q", fixture, all(hpas), err, want)
		})
	}
	f, _ := load(t, filepath.Join("testdata", "metrics-server--raises.yaml"))
	hpas, _ := Judge(f, "")
	if fix := all(hpas)[0].Fix; !strings.Contains(fix, "helm upgrade --install metrics-server") {
		t.Errorf("the fix of a missing metrics-server is %q, want helm's commands", fix)
	}
}

func TestWhatIsNotSevereIsInfo(t *testing.T) {
	f, _ := load(t, filepath.Join("testdata", "policy-cascade--raises.yaml"))
	hpas, err := Judge(f, "")
	if err != nil || all(hpas)[0].Severity != Info {
		t.Errorf("a short period beside a CPU metric alone: %+v, %v, want %s: starting pods count as 0 CPU", hpas, err, Info)
	}
}

const twoOfMany = `
{apiVersion: v1, kind: List, items: [
 {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: fine, namespace: a},
  spec: {scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: r}, minReplicas: 2, maxReplicas: 4, behavior: {}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}},
 {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: info, namespace: a},
  spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: none}, minReplicas: 2, maxReplicas: 4}},
 {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: bad, namespace: b}, status: {currentReplicas: 3, desiredReplicas: 3, conditions: [{type: AbleToScale, status: "False", reason: FailedGetScale}]},
  spec: {scaleTargetRef: {apiVersion: serving.knative.dev/v1, kind: Service, name: k}, minReplicas: 1, maxReplicas: 4, behavior: {}}},
 {apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: r, namespace: a}, spec: {workloadRef: {kind: Deployment, name: x}}},
 {apiVersion: v1, kind: Service, metadata: {name: k, namespace: b}, spec: {selector: {app: k}, ports: [{port: 80}]}}]}`

func TestEveryHPAHasItsRowWorstFirst(t *testing.T) {
	docs, problems := manifest.Parse("list.yaml", []byte(twoOfMany))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	hpas, err := Judge(Facts{Docs: docs, Live: true}, "")
	if err != nil || len(hpas) != 3 {
		t.Fatalf("Judge = %+v, %v, want 3 HPAs, whatever they scale", hpas, err)
	}
	if hpas[0].Name != "b/bad" || hpas[1].Name != "a/info" || hpas[2].Name != "a/fine" || len(hpas[2].Findings) != 0 {
		t.Errorf("%+v, want the worst first and the healthy last", hpas)
	}
	if h := hpas[0]; h.Now == nil || *h.Now != 3 || h.Target != "Service/k" || hpas[1].Now != nil {
		t.Errorf("rows %+v, want the size by the status, and none where there is no status", hpas)
	}
	if one, err := Judge(Facts{Docs: docs, Live: true}, "info"); err != nil || len(one) != 1 || one[0].Name != "a/info" {
		t.Errorf("Judge(info) = %+v, %v, want that one", one, err)
	}
}

func TestEnvironments(t *testing.T) {
	object := func(kind, namespace, name, file string) manifest.Doc {
		return manifest.Doc{Kind: kind, Namespace: namespace, Name: name, File: file}
	}
	for _, tt := range []struct {
		name  string
		files []string // each holds Deployment web
		a, b  string
		apart bool
	}{
		{"two folders that hold the same object", []string{"k/dev/d.yaml", "k/prod/d.yaml"}, "k/dev/hpa.yaml", "k/prod/x/vpa.yaml", true},
		{"files of one of them", []string{"k/dev/d.yaml", "k/prod/d.yaml"}, "k/dev/hpa.yaml", "k/dev/d.yaml", false},
		{"what both share", []string{"k/dev/d.yaml", "k/prod/d.yaml"}, "k/base/pdb.yaml", "k/prod/d.yaml", false},
		{"files of one folder", []string{"dev.yaml", "prod.yaml"}, "dev.yaml", "prod.yaml", true},
		{"an object that stands once", []string{"a/d.yaml"}, "a/d.yaml", "b/hpa.yaml", false},
		{"a base that an overlay writes anew", []string{"d.yaml", "prod/d.yaml"}, "d.yaml", "prod/hpa.yaml", true},
		{"the base's other files", []string{"d.yaml", "prod/d.yaml"}, "pdb.yaml", "prod/hpa.yaml", false},
	} {
		var docs []manifest.Doc
		for _, f := range tt.files {
			docs = append(docs, object("Deployment", "", "web", f))
		}
		e := newEnvironments(docs)
		if e.apart(tt.a, tt.b) != tt.apart || e.apart(tt.b, tt.a) != tt.apart {
			t.Errorf("%s: apart(%s, %s) = %v, want %v", tt.name, tt.a, tt.b, !tt.apart, tt.apart)
		}
	}
}

func TestWhatIsNotJudgedIsNamed(t *testing.T) {
	for fixture, want := range map[string]string{
		"target-missing--raises-name":    "shop/web: its target Deployment/wbe is not among these files (Deployment/shop/web, at",
		"odd-quantity--raises-bytes":     "shop/web: its target Deployment/web is not among these files, so its requests, limits,",
		"target-kind--raises-extensions": "", // judged as what was meant
		"target-kind--healthy":           "",
	} {
		f, _ := load(t, filepath.Join("testdata", fixture+".yaml"))
		hpas, err := Judge(f, "")
		if err != nil || len(hpas) != 1 {
			t.Fatal(hpas, err)
		}
		if got := strings.Join(hpas[0].NotJudged, "; "); (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: not judged %q, want %q", fixture, got, want)
		}
	}
}

func TestMisspelt(t *testing.T) {
	for name, want := range map[string]string{
		"vllm:num_request_waiting":                 "vllm:num_requests_waiting",
		"vllm:requests_waiting":                    "vllm:num_requests_waiting", // its own prefix says whose it is
		"vllm_num_requests_runing":                 "vllm:num_requests_running",
		"vllm:kv_cache_usage_percent":              "vllm:kv_cache_usage_perc",
		"vllm:generation_token_total":              "vllm:generation_tokens_total",
		"vllm:time_to_first_tokens_seconds_bucket": "vllm:time_to_first_token_seconds_bucket",
		"sglang:num_queued_reqs":                   "sglang:num_queue_reqs",
		"DCGM_FI_DEV_GPU_UTILL":                    "DCGM_FI_DEV_GPU_UTIL",
		"vllm:num_requests_waiting":                "",
		"vllm:num_requests_waiting:sum":            "", // a recording rule
		"vllm:gpu_cache_usage_perc":                "", // gone, which another check says
		"vllm:spec_decode_num_accepted_tokens":     "",
		"vllm:lora_requests_info":                  "",
		"http_requests_total":                      "",
		"queue_size":                               "",
		"requests_waiting":                         "",
	} {
		k, ok := misspelt(name)
		if k.name != want || ok != (want != "") {
			t.Errorf("misspelt(%s) = %q, %v, want %q", name, k.name, ok, want)
		}
	}
}

func TestKnownMetrics(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind kind
		unit unit
	}{
		{"vllm:kv_cache_usage_perc", gauge, ratio},
		{"vllm_kv_cache_usage_perc", gauge, ratio}, // as adapters write it
		{"vllm:generation_tokens_total", counter, ""},
		{"vllm:iteration_tokens_total", histogram, ""},
		{"vllm:time_to_first_token_seconds_count", counter, ""},
		{"kubernetes.io|container|accelerator|duty_cycle", gauge, percent},
		{"dcgm_fi_dev_gpu_util", gauge, percent},
		{"DCGM_FI_PROF_SM_ACTIVE", gauge, ratio},
		{"bentoml_service_request_total", counter, ""},
		{"tgi_batch_current_size", gauge, ""},
	} {
		if k, ok := lookUp(tt.name); !ok || k.kind != tt.kind || k.unit != tt.unit {
			t.Errorf("lookUp(%s) = %+v, %v, want %s %s", tt.name, k, ok, tt.kind, tt.unit)
		}
	}
	for name, k := range knownMetrics {
		if k.kind != gauge && k.kind != counter && k.kind != histogram || k.server == "" {
			t.Errorf("%s: %+v is incomplete", name, k)
		}
	}
}

func TestParseNumbers(t *testing.T) {
	got, err := ParseNumbers([]string{"cpu=0.5", "a=b=2"})
	if err == nil {
		t.Errorf("a=b=2 is taken: %v", got)
	}
	if got, err = ParseNumbers([]string{"cpu=0.5", "queue=12"}); err != nil || len(got) != 2 || got["cpu"] != 0.5 || got["queue"] != 12 {
		t.Errorf("ParseNumbers = %v, %v", got, err)
	}
	for _, text := range []string{"cpu", "=1", "cpu=-1", "cpu=NaN", "cpu=much"} {
		if _, err := ParseNumbers([]string{text}); err == nil || !strings.Contains(err.Error(), "want NAME=NUMBER") {
			t.Errorf("ParseNumbers(%q) = %v, want an error", text, err)
		}
	}
}
