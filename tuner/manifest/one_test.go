package manifest

import (
	"strings"
	"testing"
)

const chat = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: chat, namespace: ml}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
  minReplicas: 2
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`

func TestOne(t *testing.T) {
	const service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: chat}\nspec: {selector: {app: chat}, ports: [{port: 80}]}\n"
	for _, tt := range []struct{ name, text, says string }{
		{"an HPA among others", chat + service, ""},
		{"no autoscaler", strings.TrimPrefix(service, "---\n"), "found Service"},
		{"two autoscalers", chat + "---\n" + strings.Replace(chat, "name: chat, namespace", "name: talk, namespace", 1),
			"found 2 autoscalers, want one: HorizontalPodAutoscaler chat at line 1, HorizontalPodAutoscaler talk at line 10"},
		{"nothing", "", "found nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := One("x.yaml", []byte(tt.text))
			switch {
			case tt.says == "" && (err != nil || h.Config.MinReplicas != 2 || h.Config.MaxReplicas != 5 || h.Meta.Name != "chat"):
				t.Errorf("One = %+v, %v; want the HPA chat, 2 to 5", h, err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("One: %v; want %q", err, tt.says)
			}
		})
	}
}
