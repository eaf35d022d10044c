package manifest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

const top = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}\n"

func TestHandwrittenIsTheConfigurationOfTheDemo(t *testing.T) {
	docs, problems := Parse("handwritten.yaml", []byte(Handwritten))
	if len(problems) > 0 || len(docs) != 1 {
		t.Fatal(problems)
	}
	c, id, err := docs[0].Config()
	if err != nil {
		t.Fatal(err)
	}
	if want := (hpa.Identity{Namespace: "ml-serving", Name: "inference-endpoint", Kind: "Deployment", Target: "inference-endpoint"}); id != want {
		t.Errorf("identity %+v, want %+v", id, want)
	}
	var got strings.Builder
	for _, k := range hpa.Knobs(&c) {
		got.WriteString(k.Path + " " + hpa.FormatValue(k.Get(&c)) + "\n")
	}
	want := `spec.minReplicas 2
spec.maxReplicas 10
spec.metrics[cpu].target.averageUtilization 70
spec.metrics[memory].target.averageUtilization 80
spec.behavior true
spec.behavior.scaleUp.stabilizationWindowSeconds 0s
spec.behavior.scaleUp.selectPolicy Max
spec.behavior.scaleUp.policies 100 %/30s, 2 pods/30s
spec.behavior.scaleUp.tolerance —
spec.behavior.scaleDown.stabilizationWindowSeconds 300s
spec.behavior.scaleDown.selectPolicy Max
spec.behavior.scaleDown.policies 50 %/60s
spec.behavior.scaleDown.tolerance —
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// TestProblems: what the API server rejects, in its words, with line numbers. The cases are
// those of upstream's TestValidateHorizontalPodAutoscaler and TestValidateBehavior, v1.37.2,
// as manifests.
func TestProblems(t *testing.T) {
	metric := func(s string) string { return "  maxReplicas: 5\n  metrics:\n  - " + s + "\n" }
	up := func(s string) string { return "  maxReplicas: 5\n  behavior:\n    scaleUp: " + s + "\n" }
	for _, c := range []struct{ name, spec, want string }{
		{"no maxReplicas", "", "f:4: spec.maxReplicas: Required value: must be set and greater than 0\nf:4: spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`"},
		{"maxReplicas below minReplicas", "  minReplicas: 7\n  maxReplicas: 5\n", "f:7: spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"},
		{"a negative minimum", "  minReplicas: -1\n  maxReplicas: 5\n", "f:6: spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"},
		{"zero needs an outside metric", "  minReplicas: 0\n  maxReplicas: 5\n", "f:4: spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas"},
		{"zero with an outside metric", "  minReplicas: 0\n" + metric("{type: External, external: {metric: {name: q}, target: {type: Value, value: 1}}}"), ""},
		{"no metric type", metric("{resource: {name: cpu, target: {type: Utilization, averageUtilization: 7}}}"), "f:8: spec.metrics[0].type: Required value: must specify a metric source type"},
		{"an unknown metric type", metric("{type: resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 7}}}"), `f:8: spec.metrics[0].type: Unsupported value: "resource": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"`},
		{"a type without its source", metric("{type: Pods}"), "f:8: spec.metrics[0].pods: Required value: must populate information for the given metric source"},
		{"two sources", metric("{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 7}}, pods: {metric: {name: q}, target: {type: AverageValue, averageValue: 1}}}"), "f:8: spec.metrics[0].pods: Forbidden: must populate the given metric source only"},
		{"both targets", metric("{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 7, averageValue: 1}}}"), "f:8: spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization"},
		{"no target", metric("{type: Resource, resource: {name: cpu, target: {type: Utilization}}}"), "f:8: spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization"},
		{"the wrong target type for its value passes", metric("{type: Resource, resource: {name: cpu, target: {type: Value, averageUtilization: 7}}}"), ""},
		{"a target of nothing", metric("{type: Pods, pods: {metric: {name: q}, target: {type: AverageValue, averageValue: 0}}}"), `f:8: spec.metrics[0].pods.target.averageValue: Invalid value: "0": must be positive`},
		{"utilization of zero", metric("{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 0}}}"), "f:8: spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"},
		{"an object without its name", metric("{type: Object, object: {describedObject: {kind: Ingress}, metric: {name: q}, target: {type: Value, value: 1}}}"), "f:8: spec.metrics[0].object.describedObject.name: Required value"},
		{"an object with both targets passes", metric("{type: Object, object: {describedObject: {kind: Ingress, name: m}, metric: {name: q}, target: {type: Value, value: 1, averageValue: 2}}}"), ""},
		{"an external metric with both targets", metric("{type: External, external: {metric: {name: q}, target: {type: Value, value: 1, averageValue: 2}}}"), "f:8: spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target"},
		{"a metric name with a slash", metric("{type: External, external: {metric: {name: a/q}, target: {type: Value, value: 1}}}"), `f:8: spec.metrics[0].external.metric.name: Invalid value: "a/q": may not contain '/'`},
		{"a container of an odd resource", metric("{type: ContainerResource, containerResource: {name: cpuz, container: C, target: {type: Utilization, averageUtilization: 7}}}"),
			`f:8: spec.metrics[0].containerResource.container: Invalid value: "C": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')` + "\n" +
				`f:8: spec.metrics[0].containerResource.name: Invalid value: "cpuz": must be a standard resource type or fully qualified` + "\n" +
				`f:8: spec.metrics[0].containerResource.name: Invalid value: "cpuz": must be a standard resource for containers`},
		{"a GPU of a container", metric("{type: ContainerResource, containerResource: {name: nvidia.com/gpu, container: c, target: {type: Utilization, averageUtilization: 7}}}"), ""},
		{"behavior that is empty", "  maxReplicas: 5\n  behavior: {}\n", ""},
		{"no policies", up("{policies: []}"), "f:8: spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"},
		{"a window that is too long", up("{stabilizationWindowSeconds: 3601}"), "f:8: spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600"},
		{"a window below zero", up("{stabilizationWindowSeconds: -1}"), "f:8: spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero"},
		{"an unknown selectPolicy", up("{selectPolicy: max}"), `f:8: spec.behavior.scaleUp.selectPolicy: Unsupported value: "max": supported values: "Disabled", "Max", "Min"`},
		{"a policy with three mistakes", up("{policies: [{type: hm, value: 0, periodSeconds: 1801}]}"),
			"f:8: spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800\n" +
				`f:8: spec.behavior.scaleUp.policies[0].type: Unsupported value: "hm": supported values: "Percent", "Pods"` + "\n" +
				"f:8: spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero"},
		{"a tolerance below zero", up("{tolerance: -0.1}"), `f:8: spec.behavior.scaleUp.tolerance: Invalid value: "-100m": must be greater than or equal to 0`},
		{"a tolerance above one passes", up("{tolerance: 2}"), ""},
		{"an unknown field", "  maxReplicas: 5\n  minreplicas: 2\n", `f:7: spec.minreplicas: unknown field "minreplicas"`},
		{"text where a number belongs", "  maxReplicas: five\n", `f:6: spec.maxReplicas: is "five", should be a whole number`},
		{"a quantity that is none", up("{tolerance: lots}"), `f:8: spec.behavior.scaleUp.tolerance: "lots" is not a quantity`},
		{"a key twice", "  maxReplicas: 5\n  maxReplicas: 6\n", "f:7: spec.maxReplicas: is written twice; first on line 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			docs, problems := Parse("f", []byte(top+c.spec))
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if s := strings.Join(got, "\n"); s != c.want {
				t.Errorf("got\n%s\nwant\n%s", s, c.want)
			}
			if (docs[0].HPA != nil) != (c.want == "") {
				t.Errorf("HPA = %v with %d problems", docs[0].HPA, len(problems))
			}
		})
	}
}

func TestReferences(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing but a kind", "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {maxReplicas: 1}",
			"f:1: metadata.name: Required value: name or generateName is required\nf:3: spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group\nf:3: spec.scaleTargetRef.kind: Required value\nf:3: spec.scaleTargetRef.name: Required value"},
		{"a target of no group", strings.ReplaceAll(top, "apps/v1", "v1") + "  maxReplicas: 1", `f:5: spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group`},
		{"a ReplicationController has none", strings.NewReplacer("apps/v1", "v1", "Deployment", "ReplicationController").Replace(top) + "  maxReplicas: 1", ""},
		{"a name in capitals", strings.ReplaceAll(top, "name: h", "name: H") + "  maxReplicas: 1", "f:3: metadata.name: Invalid value: \"H\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"},
		{"an old version", strings.ReplaceAll(top, "/v2", "/v2beta2"), "f:1: apiVersion: autoscaling/v2beta2 was removed in Kubernetes 1.26"},
		{"a misspelt kind", strings.ReplaceAll(top, "Autoscaler", "AutoScaler"), `f:2: kind: "HorizontalPodAutoScaler" is unknown`},
		{"no kind", "a: b", "f:1: kind: is missing: what kind of object is this?"},
		{"a template", "spec: {{ .Values.x }}\n a", "f:1: not YAML: did not find expected key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := Parse("f", []byte(c.text))
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if s := strings.Join(got, "\n"); s != c.want {
				t.Errorf("got\n%s\nwant\n%s", s, c.want)
			}
		})
	}
}

func TestManyDocuments(t *testing.T) {
	docs, problems := Parse("all.yaml", []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: n}\n---\n# nothing\n---\n"+Handwritten+
		"---\n{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"autoscaling/v2\", \"kind\": \"HorizontalPodAutoscaler\", \"metadata\": {\"name\": \"x\"},\n \"spec\": {\"maxReplicas\": 3, \"scaleTargetRef\": {\"apiVersion\": \"apps/v1\", \"kind\": \"Deployment\", \"name\": \"d\"}}}]}"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, d := range docs {
		got = append(got, d.Kind+" "+d.Namespace+"/"+d.Name)
		if (d.Kind == kindHPA) != (d.HPA != nil) {
			t.Errorf("%s: HPA %v", d.Name, d.HPA)
		}
	}
	if s, want := strings.Join(got, ", "), "Deployment n/d, HorizontalPodAutoscaler ml-serving/inference-endpoint, HorizontalPodAutoscaler /x"; s != want {
		t.Errorf("%s, want %s", s, want)
	}
	if got := docs[1].LineOf("spec.behavior.scaleUp.policies[1].value"); !strings.Contains(strings.Split("x\n"+strings.Repeat("\n", 6)+Handwritten, "\n")[got], "value: 2") {
		t.Errorf("LineOf = %d", got)
	}
	if b, problems := docs[0].JSON(); len(problems) > 0 || !strings.Contains(string(b), `"kind":"Deployment"`) {
		t.Errorf("JSON = %s, %v", b, problems)
	}
	if s := docs[2].HPA.Spec; *s.MinReplicas != 1 || *s.Metrics[0].Resource.Target.AverageUtilization != 80 {
		t.Errorf("defaults are missing: %+v", s)
	}
}

func TestV1(t *testing.T) {
	docs, problems := Parse("f", []byte(`apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata:
  name: h
  annotations:
    keep: me
    autoscaling.alpha.kubernetes.io/metrics: '[{"type":"External","external":{"metricName":"q","targetValue":"7"}}]'
    autoscaling.alpha.kubernetes.io/behavior: '{"ScaleUp":null,"ScaleDown":{"StabilizationWindowSeconds":60,"SelectPolicy":"Min","Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":30}]}}'
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}
  maxReplicas: 5
  targetCPUUtilizationPercentage: 60
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if w := docs[0].Warnings; len(w) != 1 || w[0].Line != 1 || !strings.Contains(w[0].Text, "behavior") {
		t.Errorf("warnings %v", w)
	}
	b, err := json.Marshal(docs[0].HPA)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"annotations":{"keep":"me"}`, `"minReplicas":1`,
		`"metrics":[{"type":"External","external":{"metric":{"name":"q"},"target":{"type":"Value","value":"7"}}},{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]`,
		`"scaleDown":{"stabilizationWindowSeconds":60,"selectPolicy":"Min","policies":[{"type":"Pods","value":1,"periodSeconds":30}]}`,
		`"scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is missing in %s", want, b)
		}
	}
	docs, problems = Parse("f", []byte("apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, annotations: {autoscaling.alpha.kubernetes.io/metrics: '['}}\nspec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}"))
	if len(problems) > 0 || *docs[0].HPA.Spec.Metrics[0].Resource.Target.AverageUtilization != 80 || len(docs[0].Warnings) != 2 {
		t.Errorf("a bare v1 object: %v, %v", problems, docs[0].Warnings)
	}
}

func TestLooseForScenarios(t *testing.T) {
	c, id, err := Decode([]byte(`{"spec": {"maxReplicas": 3, "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}}}`))
	if err != nil || id != (hpa.Identity{}) || c.MinReplicas != 1 || len(c.ScaleUp.Policies) != 2 || len(c.ScaleDown.Policies) != 1 {
		t.Errorf("Decode = %+v, %+v, %v", c, id, err)
	}
	for _, bad := range []string{"", "spec: {maxReplica: 3}", "kind: Deployment", "{}\n---\n{}"} {
		if _, _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("Decode(%q) is fine", bad)
		}
	}
	docs, problems := Options{Loose: true}.Parse("f", []byte("spec: {maxReplicas: 3}"))
	if len(problems) > 0 || docs[0].HPA == nil {
		t.Errorf("loose: %v", problems)
	}
	_, problems = Options{Loose: true}.Parse("f", []byte("metadata: {labels: {'a b': c}}\nspec: {maxReplicas: -3}"))
	if len(problems) != 3 {
		t.Errorf("loose, with a bad label and maximum: %v", problems)
	}
}

func TestHints(t *testing.T) {
	_, problems := Parse("f", []byte(top+"  maxReplicas: 3\n  metrics: [{type: resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 1}}}]\n  behavior: {scaleUp: {stabilizationWindowSeconds: 4000, tolerance: x}}\n"))
	want := `f:7: spec.metrics[0].type: Unsupported value: "resource": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"
  Try: Resource
f:8: spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600
  Try: 0 to 3600
f:8: spec.behavior.scaleUp.tolerance: "x" is not a quantity
  Try: 500m, 2, 100 or 1Gi`
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Handwritten))
	f.Add([]byte(top + "  maxReplicas: 3\n"))
	f.Add([]byte(strings.ReplaceAll(top, "/v2", "/v1") + "  maxReplicas: 3\n  targetCPUUtilizationPercentage: 5\n"))
	f.Add([]byte(`{"kind":"List","items":[{},null,[]]}`))
	f.Add([]byte("spec: {metrics: [{type: External, external: {metric: {name: q, selector: {matchExpressions: [{key: a, operator: In, values: [b]}]}}, target: {type: Value, value: 1e9}}}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []Options{{}, {Loose: true, Unchecked: true}} {
			docs, problems := o.Parse("f", data)
			for _, p := range problems {
				if p.Text == "" {
					t.Error("a problem without a text")
				}
			}
			for _, d := range docs {
				if d.HPA == nil || o.Unchecked {
					continue
				}
				c, _, err := d.Config()
				if err != nil {
					t.Fatalf("valid, but: %v", err)
				}
				// A valid manifest is written and reads back as the same config.
				if c.MaxReplicas > huge {
					continue
				}
				again, problems := Parse("again", V2(&c, MetaOf(d.HPA), nil))
				if len(problems) > 0 {
					t.Fatalf("%v\n%s", problems, V2(&c, MetaOf(d.HPA), nil))
				}
				c2, _, err := again[0].Config()
				if drop(&c); err != nil || !c.Equal(&c2) {
					t.Fatalf("%v: wrote %+v, read %+v", err, c, c2)
				}
			}
		}
	})
}

func TestLists(t *testing.T) {
	const item = `"metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 3}}`
	const named = `{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", ` + item
	for name, text := range map[string]string{
		"kubectl get -o json":                      `{"apiVersion": "v1", "kind": "List", "items": [` + named + `]}`,
		"the API's own answer, items without kind": `{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscalerList", "items": [{` + item + `]}`,
		"a List in a List":                         `{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": [` + named + `]}]}`,
		"a bare list, as jq .items prints":         `[` + named + `]`,
		"JSON objects that follow each other":      named + named,
	} {
		docs, ps := Parse("f.json", []byte(text))
		if len(ps) > 0 || len(docs) == 0 || docs[0].HPA == nil || docs[0].HPA.Spec.MaxReplicas != 3 {
			t.Errorf("%s: Parse = %+v, %v, want the HPA", name, docs, ps)
		}
	}
	if _, ps := Parse("f.json", []byte(`{"apiVersion": "v1", "kind": "List", "items": [{`+item+`]}`)); len(ps) != 1 {
		t.Errorf("an item of a List without kind: %v, want one problem", ps)
	}
}

func TestOneMistakeIsOneProblem(t *testing.T) {
	for _, bad := range []string{
		`minReplicas: "2"`, "minReplicas: 2.0", `minReplicas: "20"`, "minReplica: 0",
		"behavior: {scaleDown: {policies: [{type: Percent, value: 100, periodSecond: 15}]}}",
		"behavior: {scaleDown: {stabilizationWindowSeconds: 5m}}",
	} {
		text := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n" +
			"  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  maxReplicas: 3\n  " + bad + "\n"
		if _, ps := Parse("f.yaml", []byte(text)); len(ps) != 1 || ps[0].Line != 7 {
			t.Errorf("%s: %v, want one problem, of line 7", bad, ps)
		}
	}
}

func TestTheHPAThatKServeMakes(t *testing.T) {
	const head = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: llm\n  annotations:\n    serving.kserve.io/deploymentMode: "
	for _, tt := range []struct {
		name, text       string
		metric           string // "" = none is made
		target, min, max int32
		line             int // of the metric
	}{
		{"annotations", head + "RawDeployment\n    serving.kserve.io/metric: memory\n    serving.kserve.io/targetUtilizationPercentage: \"70\"\nspec:\n  predictor: {minReplicas: 1, maxReplicas: 3, model: {}}\n", "memory", 70, 1, 3, 7},
		{"fields before annotations", head + "RawDeployment\n    serving.kserve.io/metric: memory\nspec:\n  predictor:\n    scaleMetric: cpu\n    scaleTarget: 50\n", "cpu", 50, 1, 1, 10},
		{"its defaults", head + "Standard\nspec:\n  predictor: {minReplicas: 0}\n", "cpu", 80, 1, 1, 8},
		{"Knative sizes it", head + "Serverless\nspec:\n  predictor: {}\n", "", 0, 0, 0, 0},
		{"somebody else sizes it", head + "RawDeployment\n    serving.kserve.io/autoscalerClass: external\nspec:\n  predictor: {}\n", "", 0, 0, 0, 0},
	} {
		docs, ps := Parse("f.yaml", []byte(tt.text))
		if len(ps) > 0 || len(docs) != 1 || (docs[0].HPA == nil) != (tt.metric == "") {
			t.Errorf("%s: Parse = %+v, %v", tt.name, docs, ps)
			continue
		}
		if tt.metric == "" {
			continue
		}
		c, _, err := docs[0].Config()
		if err != nil || c.Metrics[0].Name != tt.metric || c.Metrics[0].Target.Utilization != tt.target || c.MinReplicas != tt.min || c.MaxReplicas != tt.max {
			t.Errorf("%s: %+v, %v", tt.name, c, err)
		}
		if got := docs[0].LineOf("spec.metrics[0]"); got != tt.line {
			t.Errorf("%s: the metric is on line %d, want %d", tt.name, got, tt.line)
		}
	}
}
