package scenario

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

const written = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 10
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}
  behavior: {scaleDown: {stabilizationWindowSeconds: 30}}
`

// A written script passes with its manifest, and fails if the manifest decides differently.
func TestWrittenScriptPasses(t *testing.T) {
	spec, _, err := manifest.Decode([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	p := hpa.DefaultParams()
	p.Tolerance = 0.05
	text, err := Write("a spike\nand the way back", "hpa.yaml", &spec, p, 2, 15*time.Second, []Load{{&spec.Metrics[0], []string{"50", "90", "60", "20", "20", "20", "20"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := `# a spike
# and the way back
hpa      file=hpa.yaml from=2
controller tolerance=0.05
every    15s
cpu      50 90 60 20x4
desired  2 4 5x2 2x2 1
`
	if text != want {
		t.Errorf("script\n%s\nwant\n%s", text, want)
	}
	for _, c := range []struct {
		name, yaml string
		fails      bool
	}{{"beside its manifest", written, false}, {"beside one with another target", strings.Replace(written, "averageUtilization: 50", "averageUtilization: 90", 1), true}} {
		fsys := fstest.MapFS{"hpa.yaml": {Data: []byte(c.yaml)}}
		s, err := ParseScript("dir/web.hpa", []byte(text), fsys)
		if err != nil {
			t.Fatal(err)
		}
		if ms := s.Run(); (len(ms) > 0) != c.fails {
			t.Errorf("%s: mismatches %v", c.name, ms)
		}
	}
}

func TestReleaseOption(t *testing.T) {
	s, err := Options{Release: 32}.Parse([]byte(`{"hpa":{"spec":{"maxReplicas":3}}}`))
	if err != nil || s.Params.Release != 32 || s.Params.Gates.PodLevelResources {
		t.Errorf("params %+v, %v; want release 32 with its gates", s.Params, err)
	}
}
