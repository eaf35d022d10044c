package scenario

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

const everything = `{"id":"all","hpa":{"metadata":{"name":"h","namespace":"n"},"spec":{"scaleTargetRef":{"kind":"StatefulSet","name":"db","apiVersion":"apps/v1"},"minReplicas":0,"maxReplicas":20,
	"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}},
	 {"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"100Mi"}}},
	 {"type":"ContainerResource","containerResource":{"name":"cpu","container":"app","target":{"type":"Utilization","averageUtilization":60}}},
	 {"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"1500m"}}},
	 {"type":"Object","object":{"metric":{"name":"hits","selector":{"matchLabels":{"verb":"GET"},"matchExpressions":[{"key":"z","operator":"NotIn","values":["b","a"]}]}},"describedObject":{"kind":"Ingress","name":"main","apiVersion":"networking.k8s.io/v1"},"target":{"type":"Value","value":"10"}}},
	 {"type":"External","external":{"metric":{"name":"queue","selector":{}},"target":{"type":"AverageValue","averageValue":30}}}],
	"behavior":{"scaleUp":{"tolerance":"0.05","selectPolicy":"Min"},"scaleDown":{"stabilizationWindowSeconds":30}}}},
	"controller":{"tolerance":0.2,"downscaleStabilization":90},"featureGates":{"HPAScaleToZero":false},"start":"2024-05-01T00:00:00Z","initialReplicas":2,
	"initialState":{"recommendations":[{"at":-60.5,"replicas":5}],"scaleUpEvents":[{"at":-10,"change":2,"outdated":true}],"scaleDownEvents":[{"at":-20,"change":1}],"conditions":[{"type":"ScaledToZero","status":"False","reason":"r","message":"m"}],"desiredReplicas":4,"currentReplicas":4},
	"observations":[
	{"at":"2024-05-01T00:00:01.5Z","statusReplicas":3,"containers_":null,"pods":[{"name":"a","phase":"Running","ready":"True","readyTransition":-100,"startTime":-120,"containers":[{"name":"app","cpuMilli":200,"memoryBytes":1000},{"name":"side","cpuMilli":100,"sidecar":true},{"name":"setup","init":true}]},
	  {"name":"b","phase":"Pending","ready":"","podCpuMilli":500,"containers":[]},{"name":"c","phase":"Running","ready":"False","readyTransition":-1,"startTime":-2,"deleted":true,"containers":[{"name":"app","cpuMilli":200}]}],
	 "resourceMetrics":{"pods":[{"pod":"a","timestamp":-3,"windowSeconds":15,"containers":[{"name":"app","cpuMilli":150,"memoryBytes":70000000},{"name":"side","cpuMilli":10,"memoryBytes":5}]},{"pod":"gone","timestamp":-3,"windowSeconds":15,"containers":[{"name":"app","cpuMilli":99,"memoryBytes":7}]}]},
	 "podsMetrics":{"rps":{"values":[{"pod":"a","milli":4000},{"pod":"gone","milli":1}]}},"objectMetrics":{"Ingress/main/hits{verb=GET,z notin (a,b)}":{"milli":25000}},"externalMetrics":{"queue":{"milli":[1000,90000]}}},
	{"podsMetrics":{"rps":{"error":"no"}},"scaleConflicts":1,"selector":"tier=x"},
	{"selector":"","specReplicas":3},{"selector":"a in (","statusError":"s"},{"scaleGetError":"g","restart":true},{"otherHPAs":[{"name":"other","selector":"app"}]},
	{"hpa":{"spec":{"maxReplicas":9}},"resourceMetrics":{"error":"down"},"scaleUpdateError":"u"}]}`

// What Format writes decides the same as the original.
func TestFormatRoundTrips(t *testing.T) {
	texts := []string{strings.Replace(everything, `"containers_":null,`, "", 1)}
	f, err := os.Open(filepath.Join("..", "hpa", "testdata", "upstream", "replicas.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c struct{ Scenario json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(c.Scenario))
	}
	for _, text := range texts {
		s, err := Parse([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Format(&b, s); err != nil {
			t.Fatal(err)
		}
		want, got := lines(t, text), lines(t, b.String())
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				g, _ := json.Marshal(got[i])
				w, _ := json.Marshal(want[i])
				t.Errorf("%s, observation %d: formatted, it gives\n%s, want\n%s\n%s", s.ID, i, g, w, b.String())
				break
			}
		}
	}
}

func TestIdenticalPodsAreWrittenOneByOne(t *testing.T) {
	spec := hpa.DefaultConfig(10)
	s := &Scenario{Params: hpa.DefaultParams(), Spec: &spec, Replicas: 3, Start: time.Unix(0, 0)}
	s.Steps = []Step{{Observation: hpa.Observation{Spec: &spec, Selector: DefaultSelector,
		Pods:    []hpa.Pod{{Name: "web", Count: 3, StartTime: -time.Hour, ReadySince: -time.Hour, Containers: []hpa.Container{{Name: "app", CPU: 100, HasCPU: true}}}},
		Metrics: []hpa.Reading{{Samples: []hpa.Sample{{Milli: 160, OK: true}}}}}}}
	var b bytes.Buffer
	if err := Format(&b, s); err != nil {
		t.Fatal(err)
	}
	if l := lines(t, b.String())[0]; l.Replicas != 6 || strings.Count(b.String(), `"name": "web-`) != 3 {
		t.Errorf("replicas %d, want 6 of three pods:\n%s", l.Replicas, b.String())
	}
}

// The line of the first tick whose size differs from the recording says so, and so do all
// later ones.
func TestRecordedSizeDiverges(t *testing.T) {
	s, err := Parse([]byte(`{"hpa":{"spec":{"maxReplicas":10,"metrics":[{"type":"External","external":{"metric":{"name":"q"},"target":{"type":"AverageValue","averageValue":1}}}],"behavior":{"scaleDown":{"stabilizationWindowSeconds":0}}}},
		"observations":[{"specReplicas":2,"externalMetrics":{"q":{"milli":[2000]}}},{"specReplicas":4,"externalMetrics":{"q":{"milli":[4000]}}},{"specReplicas":4,"externalMetrics":{"q":{"milli":[6000]}}},{"specReplicas":4,"externalMetrics":{"q":{"milli":[4000]}}}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = RunRecorded(s, []Size{{2, 2, 0}, {4, 4, 0}, {4, 4, 0}, {4, 4, 0}}, func(l *Line) error {
		b, _ := json.Marshal([]any{l.CurrentReplicas, l.Replicas, l.Diverged})
		got = append(got, string(b))
		return nil
	})
	if want := "[2,2,false] [4,4,false] [4,6,true] [6,4,true]"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("lines %v, %v; want %s", got, err, want)
	}
}
