package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/tuner/keda"
)

// scaledOf reads one ScaledObject.
func scaledOf(t *testing.T, text string) *Doc {
	t.Helper()
	docs, problems := Parse("so.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if len(docs) != 1 || docs[0].Scaled == nil {
		t.Fatalf("%d objects, want one ScaledObject", len(docs))
	}
	return &docs[0]
}

// The golden files follow kedacore/keda v2.21.0 controllers/keda/hpa.go, read
// line by line.
func TestTheHPAThatKEDAMakes(t *testing.T) {
	files, err := filepath.Glob("testdata/keda/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		if strings.HasSuffix(file, ".hpa.yaml") {
			continue
		}
		n++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := scaledOf(t, string(data))
			got, err := yaml.Marshal(d.HPA)
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".hpa.yaml"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(got) != string(want) {
				t.Errorf("HPA of %s: %v\n%s\nwant\n%s", file, err, got, want)
			}
			if _, _, err := d.Config(); err != nil {
				t.Errorf("Config: %v", err)
			}
		})
	}
	if n < 4 {
		t.Errorf("%d inputs, want them all", n)
	}
}

func TestSourcePaths(t *testing.T) {
	data, err := os.ReadFile("testdata/keda/mixed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := scaledOf(t, string(data))
	c, _, err := d.Config()
	if err != nil {
		t.Fatal(err)
	}
	names := metricNames(&c)
	for path, want := range map[string]string{
		"spec.minReplicas": "spec.minReplicaCount",
		"spec.maxReplicas": "spec.maxReplicaCount",
		"spec.behavior.scaleUp.stabilizationWindowSeconds": kedaBehavior + ".scaleUp.stabilizationWindowSeconds",
		"spec.metrics[0]":                                 "spec.triggers[2]", // ContainerResource sorts first
		"spec.metrics[1].external.target.value":           "spec.triggers[0].metadata.threshold",
		names[3] + ".target.averageValue":                 "spec.triggers[4].metadata.targetValue",
		names[4] + ".target.averageValue":                 "spec.triggers[6].metadata.lagThreshold",
		"spec.metrics[memory].target.averageValue":        "spec.triggers[1].metadata.value",
		"spec.metrics[cpu].target.averageUtilization":     "spec.triggers[5].metadata.value",
		"spec.metrics[nothing].target.averageUtilization": "",
	} {
		if got := d.SourcePath(path); got != want {
			t.Errorf("SourcePath(%s) = %q, want %q", path, got, want)
		}
	}
	if line := d.LineOf("spec.metrics[0]"); line != 35 {
		t.Errorf("LineOf(spec.metrics[0]) = %d, want that of the trigger", line)
	}
	if d.Trigger(1) == nil || d.Trigger(1).Name != "kv" || d.Trigger(99) != nil {
		t.Errorf("Trigger(1) = %+v, want kv", d.Trigger(1))
	}
}

const prometheusTrigger = `{type: prometheus, name: q, metadata: {serverAddress: "http://p", query: up, threshold: "5"}}`

// so returns a ScaledObject with these fields under spec.
func so(spec string) string {
	return "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: web, namespace: shop}\nspec:\n  scaleTargetRef: {name: web}\n" + spec
}

func TestWhatKEDARefuses(t *testing.T) {
	for _, tt := range []struct {
		name, spec string
		path, text string
		try        string
	}{
		{"an unknown trigger type", "  triggers: [{type: promethus, metadata: {}}]", "spec.triggers[0].type", `"promethus" is not a trigger type`, "prometheus"},
		{"no trigger", "  triggers: []", "spec.triggers", "no trigger", ""},
		{"a threshold of 0", `  triggers: [{type: prometheus, metadata: {serverAddress: "http://p", query: up, threshold: "0"}}]`, "spec.triggers[0].metadata.threshold", "not above 0", ""},
		{"a threshold that is no number", `  triggers: [{type: prometheus, metadata: {serverAddress: "http://p", query: up, threshold: five}}]`, "spec.triggers[0].metadata.threshold", `"five" is not a number`, ""},
		{"no threshold", `  triggers: [{type: prometheus, metadata: {serverAddress: "http://p", query: up}}]`, "spec.triggers[0].metadata.threshold", "is missing", ""},
		{"no query", `  triggers: [{type: prometheus, metadata: {serverAddress: "http://p", threshold: "1"}}]`, "spec.triggers[0].metadata.query", "is missing", ""},
		{"a threshold that is a number, where metadata is text", `  triggers: [{type: prometheus, metadata: {serverAddress: "http://p", query: up, threshold: 5}}]`, "spec.triggers[0].metadata.threshold", "should be text", `"5"`},
		{"Utilization of a query", `  triggers: [{type: prometheus, metricType: Utilization, metadata: {serverAddress: "http://p", query: up, threshold: "5"}}]`, "spec.triggers[0].metricType", "Utilization is only for cpu and memory", "metricType: AverageValue"},
		{"a cpu trigger without metricType", `  minReplicaCount: 1
  triggers: [{type: cpu, metadata: {value: "50"}}]`, "spec.triggers[0].metricType", "use Utilization or AverageValue", "metricType: Utilization"},
		{"a cpu trigger of before 2.18", `  minReplicaCount: 1
  triggers: [{type: cpu, metadata: {type: Utilization, value: "50"}}]`, "spec.triggers[0].metadata.type", "was removed in KEDA 2.18", "metricType: Utilization, beside metadata"},
		{"cpu alone, from zero", `  triggers: [{type: cpu, metricType: Utilization, metadata: {value: "50"}}]`, "spec.minReplicaCount", "cannot be measured at 0 replicas", "minReplicaCount: 1"},
		{"two triggers of one name", "  triggers: [" + prometheusTrigger + ", " + prometheusTrigger + "]", "spec.triggers[1].name", `"q" is also the name of triggers[0]`, ""},
		{"a minimum above the maximum", "  minReplicaCount: 5\n  maxReplicaCount: 4\n  triggers: [" + prometheusTrigger + "]", "spec.minReplicaCount", "above maxReplicaCount 4", ""},
		{"an idle size that is not below the minimum", "  idleReplicaCount: 0\n  triggers: [" + prometheusTrigger + "]", "spec.idleReplicaCount", "is not below minReplicaCount 0", ""},
		{"a polling interval of 0", "  pollingInterval: 0\n  triggers: [" + prometheusTrigger + "]", "spec.pollingInterval", "0 is below 1", ""},
		{"a formula that does not compile", "  advanced: {scalingModifiers: {formula: \"q +\", target: \"1\"}}\n  triggers: [" + prometheusTrigger + "]", "spec.advanced.scalingModifiers.formula", "does not compile", ""},
		{"a formula of a trigger that is not there", "  advanced: {scalingModifiers: {formula: \"q + other\", target: \"1\"}}\n  triggers: [" + prometheusTrigger + "]", "spec.advanced.scalingModifiers.formula", "other", "the names of the triggers: q"},
		{"a formula that divides by zero", "  advanced: {scalingModifiers: {formula: \"q / 0\", target: \"1\"}}\n  triggers: [" + prometheusTrigger + "]", "spec.advanced.scalingModifiers.formula", "divides by zero for any value", ""},
		{"a formula without a target", "  advanced: {scalingModifiers: {formula: q}}\n  triggers: [" + prometheusTrigger + "]", "spec.advanced.scalingModifiers.target", "is missing", ""},
		{"a target of 0", "  advanced: {scalingModifiers: {formula: q, target: \"0\"}}\n  triggers: [" + prometheusTrigger + "]", "spec.advanced.scalingModifiers.target", "not a number above 0", ""},
		{"an hour that no day has", `  triggers: [{type: cron, metadata: {timezone: UTC, start: "0 25 * * *", end: "0 18 * * *", desiredReplicas: "2"}}]`, "spec.triggers[0].metadata.start", "above maximum (23)", ""},
		{"a word for a schedule, which KEDA's parser does not take", `  triggers: [{type: cron, metadata: {timezone: UTC, start: "@daily", end: "0 18 * * *", desiredReplicas: "2"}}]`, "spec.triggers[0].metadata.start", "has 1 field;", ""},
		{"a schedule of six fields", `  triggers: [{type: cron, metadata: {timezone: UTC, start: "0 0 8 * * *", end: "0 18 * * *", desiredReplicas: "2"}}]`, "spec.triggers[0].metadata.start", "has 6 fields", ""},
		{"a month of 13", cronTrigger("UTC", "0 8 * 13 *"), "spec.triggers[0].metadata.start", "is not a schedule", "0 8 * * *"},
		{"a descriptor, which KEDA's parser does not accept", cronTrigger("UTC", "@daily"), "spec.triggers[0].metadata.start", "has 1 field;", "0 8 * * *"},
		{"an unknown time zone", cronTrigger("Europe/Bergen", "0 8 * * *"), "spec.triggers[0].metadata.timezone", "is not a time zone", ""},
		{"a fallback of cpu alone", "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 2}\n  triggers: [{type: cpu, metricType: Utilization, metadata: {value: \"50\"}}]", "spec.fallback", "have no fallback", ""},
		{"an unknown fallback behavior", "  fallback: {failureThreshold: 3, replicas: 2, behavior: statc}\n  triggers: [" + prometheusTrigger + "]", "spec.fallback.behavior", `"statc" is unknown`, "static"},
		{"a behavior that the API refuses", "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 7200}}}}\n  triggers: [" + prometheusTrigger + "]", kedaBehavior + ".scaleDown.stabilizationWindowSeconds", "less than or equal to 3600", "0 to 3600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs, ps := Parse("so.yaml", []byte(so(tt.spec)))
			if len(ps) != 1 || ps[0].Path != tt.path || !strings.Contains(ps[0].Text, tt.text) || tt.try != "" && ps[0].Try != tt.try || ps[0].Line < 4 {
				t.Fatalf("Parse = %v, want one problem at %s: %s (try %s)", ps, tt.path, tt.text, tt.try)
			}
			if docs[0].HPA != nil {
				t.Error("a ScaledObject that is refused has an HPA")
			}
		})
	}
}

func cronTrigger(zone, start string) string {
	return "  triggers: [{type: cron, metadata: {timezone: " + zone + ", start: \"" + start + "\", end: \"0 18 * * *\", desiredReplicas: \"2\"}}]"
}

func TestWhatKEDAAcceptsAndAPersonShouldKnow(t *testing.T) {
	for name, tt := range map[string][2]string{
		"a field of a later release":         {"  futureField: 1\n  triggers: [" + prometheusTrigger + "]", "it is ignored"},
		"a query that does not parse":        {"  triggers: [{type: prometheus, metadata: {serverAddress: \"http://p\", query: \"sum(rate(x[1m])\", threshold: \"1\"}}]", "unclosed left parenthesis"},
		"an idle size above 0":               {"  minReplicaCount: 3\n  idleReplicaCount: 1\n  triggers: [" + prometheusTrigger + "]", "only 0 works"},
		"a formula that may divide by zero":  {"  advanced: {scalingModifiers: {formula: \"10 / q\", target: \"1\"}}\n  triggers: [" + prometheusTrigger + "]", "divides by zero when q is 0"},
		"a fallback under a fraction target": {"  fallback: {failureThreshold: 3, replicas: 2}\n  advanced: {scalingModifiers: {formula: q, target: \"0.5\"}}\n  triggers: [" + prometheusTrigger + "]", "ignores the fallback"},
	} {
		d := scaledOf(t, so(tt[0]))
		if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0].Text, tt[1]) {
			t.Errorf("%s: warnings %v, want %q", name, d.Warnings, tt[1])
		}
	}
}

func TestDefaultsOfKEDA(t *testing.T) {
	o := scaledOf(t, so("  triggers: ["+prometheusTrigger+"]")).Scaled
	if o.Min() != 0 || o.Max() != 100 || o.Polling() != 30*time.Second || o.Cooldown() != 5*time.Minute || !o.PollingMatters() || o.HPAName() != "keda-hpa-web" {
		t.Errorf("defaults: %d to %d, polling %v, cooldown %v, %s", o.Min(), o.Max(), o.Polling(), o.Cooldown(), o.HPAName())
	}
	o.Spec.MinReplicaCount = new(int32(1))
	if o.PollingMatters() {
		t.Error("with a minimum of 1 and no idle size KEDA's own loop moves nothing")
	}
	for text, want := range map[string]int32{"": -2, "3": 3, "x": -1} {
		o.Annotations = nil
		if text != "" {
			o.Annotations = map[string]string{kedaPausedReplicas: text}
		}
		at, paused := o.Paused()
		if !paused {
			at = -2
		}
		if at != want {
			t.Errorf("Paused() with %q = %d, want %d", text, at, want)
		}
	}
	o.Annotations = map[string]string{kedaPaused: "false"}
	if _, paused := o.Paused(); paused {
		t.Error(`paused: "false" pauses`)
	}
}

func TestFormula(t *testing.T) {
	at := func(f float64) *float64 { return &f }
	for _, tt := range []struct {
		formula string
		a, b    *float64
		want    float64
		err     string
	}{
		{"a + b", at(1.5), at(2), 3.5, ""},
		{"max(a, b)", at(1), at(7), 7, ""},
		{"a > 2 ? 10 : 1", at(3), at(0), 10, ""}, // an integer result is cast
		{"7", at(0), at(0), 7, ""},
		{"a / 3", at(1), at(0), 0.333, ""}, // truncated to thousandths
		{"a / b", at(1), at(0), 0, "divides by zero"},
		{"a ?? b", nil, at(4), 4, ""},
		{"a ?? b", nil, nil, 0, keda.ErrNoValue.Error()},
	} {
		text := so("  advanced: {scalingModifiers: {formula: \"" + tt.formula + "\", target: \"2\"}}\n  fallback: {failureThreshold: 1, replicas: 3}\n" +
			"  triggers:\n    - {type: prometheus, name: a, metadata: {serverAddress: s, query: x, threshold: \"1\"}}\n    - {type: cron, name: b, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: \"2\"}}\n")
		o := scaledOf(t, text).Scaled
		f, err := o.Formula()
		if err != nil {
			t.Errorf("Formula(%s): %v", tt.formula, err)
			continue
		}
		values := map[string]*float64{"a": tt.a, "b": tt.b}
		got, err := f.Value(values)
		if got != tt.want || (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s = %v, %v, want %v, %q", tt.formula, got, err, tt.want, tt.err)
		}
		if errors.Is(err, keda.ErrNoValue) {
			if v, err := o.Composite(f, values); err != nil || v != 6 {
				t.Errorf("Composite without a value = %v, %v, want fallback.replicas × target, 6", v, err)
			}
		}
	}
}

// A rewritten ScaledObject makes the HPA that was wanted, and keeps everything else.
func TestRewrite(t *testing.T) {
	data, err := os.ReadFile("testdata/keda/mixed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := scaledOf(t, string(data))
	c, _, err := d.Config()
	if err != nil {
		t.Fatal(err)
	}
	same, rest, err := d.Rewrite(&c, nil)
	if err != nil || len(rest) > 0 {
		t.Fatalf("Rewrite without a change: %v, %v", rest, err)
	}
	if again := scaledOf(t, string(same)); again.HPA.Spec.String() != d.HPA.Spec.String() {
		t.Errorf("without a change the HPA becomes %v, want %v", again.HPA.Spec, d.HPA.Spec)
	}
	names := metricNames(&c)
	c.MinReplicas, c.MaxReplicas = 3, 12
	for i := range c.Metrics {
		switch c.Metrics[i].Name {
		case "s0-prometheus":
			c.Metrics[i].Target.ValueMilli = 650
		case "memory":
			c.Metrics[i].Target.AverageMilli = 12 << 30 * 1000
		}
	}
	c.ScaleDown.Window, c.ScaleDown.WindowSet = 240*time.Second, true
	got, rest, err := d.Rewrite(&c, []Note{
		{"", "Recommended by hpatune v1"}, {"spec.minReplicas", "was 2; the first minute needs 3"},
		{names[1] + ".target.value", "was 700m; it rises too late"}, {"spec.behavior.scaleDown.stabilizationWindowSeconds", "was not set; a pod starts in 3 minutes"},
	})
	if err != nil || len(rest) > 0 {
		t.Fatalf("Rewrite: %v, %v", rest, err)
	}
	text := string(got)
	for _, want := range []string{
		"# Recommended by hpatune v1\n", "# was 2; the first minute needs 3\n  minReplicaCount: 3\n", "maxReplicaCount: 12\n",
		"# was 700m; it rises too late\n        threshold: \"0.65\"\n", `value: "12Gi"`, "authenticationRef: {name: prom-auth, kind: ClusterTriggerAuthentication}",
		"authModes: bearer", "# was not set; a pod starts in 3 minutes\n", "stabilizationWindowSeconds: 240", "restoreToOriginalReplicaCount: true", `ignoreNullValues: "false"`,
		"selectPolicy: Max\n          policies:\n            - type: Percent", // not Disabled: that is the annotation's
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the rewritten ScaledObject lacks %q:\n%s", want, text)
		}
	}
	back, _, err := scaledOf(t, text).Config()
	if err != nil || !back.Equal(&c) {
		t.Errorf("it makes %+v (%v), want %+v", back, err, c)
	}
}

func TestRewriteKeepsZeroAndNamesWhatItCannotSay(t *testing.T) {
	d := scaledOf(t, so("  minReplicaCount: 0 # at night\n  triggers: ["+prometheusTrigger+"]\n"))
	c, _, err := d.Config()
	if err != nil {
		t.Fatal(err)
	}
	c.MinReplicas, c.MaxReplicas = 0, 7
	got, rest, err := d.Rewrite(&c, nil)
	if err != nil || len(rest) > 0 || !strings.Contains(string(got), "minReplicaCount: 0 # at night") || !strings.Contains(string(got), "maxReplicaCount: 7") {
		t.Errorf("Rewrite = %s, %v, %v, want minReplicaCount 0 kept", got, rest, err)
	}
	c.MinReplicas = 1
	if got, rest, err = d.Rewrite(&c, nil); err != nil || len(rest) > 0 || !strings.Contains(string(got), "minReplicaCount: 1 # at night") {
		t.Errorf("Rewrite = %s, %v, %v, want minReplicaCount 1", got, rest, err)
	}
	c.Metrics[0].Name = "s1-prometheus"
	if _, rest, err = d.Rewrite(&c, nil); err != nil || len(rest) != 2 {
		t.Errorf("Rewrite with another metric: %v, %v, want what to add and what to take away", rest, err)
	}
}

// The file for kubectl apply has nothing that only the API server or the operator sets.
func TestRewriteLeavesOutWhatTheServerSets(t *testing.T) {
	live := strings.Replace(so("  triggers: ["+prometheusTrigger+"]"), "metadata: {",
		`metadata: {resourceVersion: "462", uid: b69f8db9, generation: 1, `+
			`creationTimestamp: "2026-11-27T10:55:35Z", finalizers: [finalizer.keda.sh], labels: {team: ml}, `, 1) +
		"\nstatus: {hpaName: keda-hpa-web, conditions: [{type: Ready}]}\n"
	docs, problems := Parse("so.yaml", []byte(live))
	if len(problems) > 0 || !strings.Contains(live, "resourceVersion") {
		t.Fatalf("%v\n%s", problems, live)
	}
	c, _, err := docs[0].Config()
	if err != nil {
		t.Fatal(err)
	}
	c.MaxReplicas = 7
	got, _, err := docs[0].Rewrite(&c, nil)
	if err != nil || !strings.Contains(string(got), "maxReplicaCount: 7") || !strings.Contains(string(got), "team: ml") {
		t.Errorf("Rewrite = %s, %v", got, err)
	}
	for _, field := range []string{"resourceVersion", "uid", "generation", "creationTimestamp", "finalizers", "status"} {
		if strings.Contains(string(got), field) {
			t.Errorf("%s is still there:\n%s", field, got)
		}
	}
}
