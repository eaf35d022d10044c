package scenario

import (
	"encoding/json"
	"strings"
	"testing"
)

// lines runs a scenario and returns its output.
func lines(t *testing.T, text string) []*Line {
	t.Helper()
	s, err := Parse([]byte(text), nil)
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	var out []*Line
	if err := Run(s, func(l *Line) error { out = append(out, l); return nil }); err != nil {
		t.Fatalf("Run: %v", err)
	}
	return out
}

const webPods = `[{"name":"a","phase":"Running","ready":"True","readyTransition":-3590,"startTime":-3600},
                  {"name":"b","phase":"Running","ready":"True","readyTransition":-3590,"startTime":-3600}]`

func cpu(a, b string) string {
	return `{"pods":[{"pod":"a","timestamp":0,"windowSeconds":15,"containers":[{"name":"app","cpuMilli":` + a + `}]},
	                 {"pod":"b","timestamp":0,"windowSeconds":15,"containers":[{"name":"app","cpuMilli":` + b + `}]}]}`
}

func TestScenarioDecides(t *testing.T) {
	got := lines(t, `{"id":"x","hpa":{"spec":{"maxReplicas":10,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]}},
		"initialReplicas":2,"containers":[{"name":"app","cpuMilli":200}],
		"observations":[{"pods":`+webPods+`,"resourceMetrics":`+cpu("200", "200")+`},{"resourceMetrics":`+cpu("100", "100")+`},{"resourceMetrics":{}}]}`)
	if len(got) != 3 {
		t.Fatalf("%d lines, want 3", len(got))
	}
	l := got[0]
	if l.Replicas != 4 || !l.Scaled || *l.Reason != "cpu resource utilization (percentage of request) above target" || *l.Proposal.Replicas != 4 {
		t.Errorf("first line %+v, want 2 → 4 above target", l)
	}
	if l := got[1]; l.T != 15 || l.CurrentReplicas != 4 || l.Replicas != 4 || l.Scaled {
		t.Errorf("second line %+v, want 4 kept", l)
	}
	l = got[2]
	want := "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API"
	if c := l.Conditions[1]; c.Type != "ScalingActive" || c.Status != "False" || c.Reason != "FailedGetResourceMetric" || c.Message != want {
		t.Errorf("condition %+v, want FailedGetResourceMetric: %s", c, want)
	}
	if l.Error != "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API" {
		t.Errorf("error %q", l.Error)
	}
	raw, _ := json.Marshal(got[0])
	for _, key := range []string{`"id"`, `"tick"`, `"t"`, `"currentReplicas"`, `"statusReplicas"`, `"desiredReplicas"`, `"replicas"`, `"scaled"`, `"reason"`, `"proposal"`, `"perMetric"`, `"conditions"`, `"events"`, `"explanation"`} {
		if !strings.Contains(string(raw), key+":") {
			t.Errorf("line %s lacks %s", raw, key)
		}
	}
}

func TestProblemsNameTheirFields(t *testing.T) {
	_, err := Parse([]byte(`{"hpa":{"spec":{"maxReplicas":3,"minReplica":1}},"controller":{"tolerance":"x"},"tickSecond":1,
		"observations":[{"pods":[{"phase":"Runing"}],"resourceMetrics":{"pods":[{"containers":[{"cpuMilli":1.5}]}]}}]}`), nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"tickSecond: unknown field", "controller.tolerance: found \"x\", want a number", "hpa: ", "minReplica"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nlacks %q", err, want)
		}
	}
	_, err = Parse([]byte(`{"hpa":{"spec":{"maxReplicas":3}},
		"observations":[{"pods":[{"phase":"Runing"}],"resourceMetrics":{"pods":[{"containers":[{"cpuMilli":1.5}]}]}}]}`), nil)
	for _, want := range []string{"observations[0].pods[0].phase: found \"Runing\"", "observations[0].resourceMetrics.pods[0].containers[0].cpuMilli: found 1.5, want a whole number"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nlacks %q", err, want)
		}
	}
}

func TestAScenarioThatIsNoObjectIsNamed(t *testing.T) {
	if _, err := Parse([]byte(`[]`), nil); err == nil || !strings.HasPrefix(err.Error(), "scenario: found [], want an object") {
		t.Errorf("a list: %v, want the scenario named", err)
	}
}

func TestSplitGivesOneObjectOrOneALine(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"one object over several lines", "{\n \"id\": \"}{\"\n}\n", []string{"{\n \"id\": \"}{\"\n}"}},
		{"one a line, blank lines between", "{\"id\":1}\n\n{\"id\":2}", []string{`{"id":1}`, `{"id":2}`}},
		{"a line that is not JSON does not hide the next", "{\"id\":1}\noops\n{\"id\":2}\n", []string{`{"id":1}`, "oops", `{"id":2}`}},
		{"a line that never closes does not hide the next", "{\"id\":[1}\n{\"id\":2}\n", []string{`{"id":[1}`, `{"id":2}`}},
	} {
		var got []string
		if err := Split(strings.NewReader(c.in), func(b []byte) error { got = append(got, string(b)); return nil }); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: Split = %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"x","hpa":{"spec":{"maxReplicas":10,"behavior":{}}},"initialReplicas":2,"observations":[{"pods":` + webPods + `,"resourceMetrics":` + cpu("200", "200") + `}]}`))
	f.Add([]byte(`{"hpa":"spec: {maxReplicas: 3, metrics: [{type: External, external: {metric: {name: q, selector: {matchLabels: {a: b}}}, target: {type: Value, value: 5}}}]}","start":"2020-01-01T00:00:00Z","observations":[{"at":"2020-01-01T00:00:15Z","externalMetrics":{"q{a=b}":{"milli":[-1,9223372036854775807]}},"selector":"a in (b","statusReplicas":0,"restart":true}]}`))
	f.Add([]byte(`{"hpa":{"spec":{"maxReplicas":1}},"initialState":{"conditions":[{"type":"ScaledToZero","status":"True"}],"recommendations":[{"at":-1e9,"replicas":2147483647}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data, nil)
		if err != nil {
			return
		}
		if err := Run(s, func(l *Line) error { _, err := json.Marshal(l); return err }); err != nil {
			t.Skip(err)
		}
	})
}

// The API server stores a pod's times in whole seconds: 0.9 s after the start is 0 s for the
// controller. So the initialization period has ended at 300.5 s, and the old sample counts.
func TestPodsTimesAreCutToWholeSeconds(t *testing.T) {
	for _, tt := range []struct {
		name, at string
		want     int32
	}{
		{"the period that ends at 300.9 s has ended at 300.5 s", "300.5", 4},
		{"and not yet at 299.5 s: the sample is from before the pods were ready", "299.5", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pods := strings.NewReplacer("-3590", "1.2", "-3600", "0.9").Replace(webPods)
			metrics := strings.ReplaceAll(cpu("200", "200"), `"timestamp":0`, `"timestamp":10`)
			got := lines(t, `{"id":"x","hpa":{"spec":{"maxReplicas":10,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]}},
				"initialReplicas":2,"containers":[{"name":"app","cpuMilli":200}],"observations":[{"at":`+tt.at+`,"pods":`+pods+`,"resourceMetrics":`+metrics+`}]}`)
			if len(got) != 1 || got[0].Replicas != tt.want {
				t.Errorf("%+v, want %d replicas", got, tt.want)
			}
		})
	}
}
