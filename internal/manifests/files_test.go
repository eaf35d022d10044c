package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/internal/failure"
)

const (
	hpaText = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: NAME}\nspec:\n" +
		"  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  minReplicas: 2\n  maxReplicas: 5\n" +
		"  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]\n"
	profileText = "name: load\nstages: [{rate: 1/s, duration: 1m}]\n"
	serviceText = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}}\n"
)

// -f takes a folder: the autoscaler is the one in it, whatever else the folder has, and errors
// name its files and their lines.
func TestAutoscalerOfAFolder(t *testing.T) {
	named := func(name string) string { return strings.ReplaceAll(hpaText, "NAME", name) }
	for _, c := range []struct {
		sentence string
		files    map[string]string
		file     string // that holds it
		want     string // of the error
	}{
		{"what init writes: an HPA beside a profile", map[string]string{"hpa.yaml": named("a"), "load.yaml": profileText}, "hpa.yaml", ""},
		{"an HPA among other objects, one folder down", map[string]string{"web/all.yaml": serviceText + "---\n" + named("a"), "svc.yaml": serviceText},
			"web/all.yaml", ""},
		{"two of them", map[string]string{"a.yaml": named("a"), "b.yaml": "\n" + named("b")}, "", "a at DIR/a.yaml:1, HorizontalPodAutoscaler b at DIR/b.yaml:2"},
		{"none", map[string]string{"svc.yaml": serviceText}, "", "no HorizontalPodAutoscaler or ScaledObject in these files (found Service)"},
		{"a mistake is named with its file and line", map[string]string{"a.yaml": serviceText, "hpa.yaml": strings.Replace(named("a"), "minReplicas: 2", "minReplicas: two", 1)},
			"", "DIR/hpa.yaml:6: spec.minReplicas"},
		{"an empty folder", nil, "", "found nothing"},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, data, err := Autoscaler(nil, dir)
		if c.want == "" {
			if err != nil || file != filepath.Join(dir, c.file) || string(data) != c.files[c.file] {
				t.Errorf("%s: %s, %q, %v, want %s", c.sentence, file, data, err, c.file)
			}
			if h, err := HPAOf(nil, dir); err != nil || h.Config.MaxReplicas != 5 {
				t.Errorf("%s: HPAOf = %+v, %v", c.sentence, h.Config, err)
			}
			continue
		}
		if want := strings.ReplaceAll(c.want, "DIR", dir); err == nil || failure.Of(err) != failure.Input || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error of the input with %q", c.sentence, err, want)
		}
	}
}
