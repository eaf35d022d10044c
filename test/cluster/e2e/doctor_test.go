//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// The faulty ones: nothing serves queue_depth, a sidecar has no requests, two HPAs scale one
// Deployment, and ten pods exceed the quota. Targets of other kinds may exist or not, and must not
// stop the doctor.
const sick = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: sick}
spec:
  replicas: 1
  selector: {matchLabels: {app: sick}}
  template:
    metadata: {labels: {app: sick}}
    spec:
      terminationGracePeriodSeconds: 2
      initContainers:
        - {name: proxy, image: "hpacluster.test/tinyllm:1", imagePullPolicy: Never, restartPolicy: Always, args: ["-addr=:8001"]}
      containers:
        - name: server
          image: hpacluster.test/tinyllm:1
          imagePullPolicy: Never
          args: ["-addr=:8000"]
          resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 100m, memory: 128Mi}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: sick}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: sick}
  minReplicas: 1
  maxReplicas: 10
  metrics:
    - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
    - {type: External, external: {metric: {name: queue_depth}, target: {type: Value, value: "5"}}}
  behavior: {scaleDown: {stabilizationWindowSeconds: 60}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: second}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: sick}
  minReplicas: 1
  maxReplicas: 2
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: stateful}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: gone}
  maxReplicas: 2
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: replica}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: ReplicaSet, name: gone}
  maxReplicas: 2
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: rollout}
spec:
  scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: gone}
  maxReplicas: 2
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: few}
spec: {hard: {pods: "8"}}
`

// healthy is an HPA without findings.
const healthy = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: chat}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
  minReplicas: 2
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 60}}
`

// diagnosis is the output of doctor -o json.
type diagnosis struct {
	Findings []struct{ ID, Severity, HPA, Object, Why, Fix string }
	HPAs     []struct {
		Name string
		Now  *int32 `json:"current_replicas"`
	}
	NotJudged []string `json:"not_judged"`
}

func (d diagnosis) ids(hpa string) (out []string) {
	for _, f := range d.Findings {
		if f.HPA == hpa {
			out = append(out, f.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// doctorRules are the rights that hpatune rbac prints.
func doctorRules(t *testing.T, printed string) (inNamespace, everywhere []rbacv1.PolicyRule) {
	t.Helper()
	for doc := range strings.SplitSeq(printed, "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(doc), &role); err != nil {
			t.Fatalf("hpatune rbac printed %s: %v", doc, err)
		}
		switch role.Kind { // the tests bind by themselves
		case "Role":
			inNamespace = role.Rules
		case "ClusterRole":
			everywhere = role.Rules
		}
	}
	return inNamespace, everywhere
}

// oneLess returns the rules without one verb on one resource.
func oneLess(rules []rbacv1.PolicyRule, group, resource, verb string) (out []rbacv1.PolicyRule) {
	for _, r := range rules {
		for _, res := range r.Resources {
			verbs := slices.DeleteFunc(slices.Clone(r.Verbs), func(v string) bool { return r.APIGroups[0] == group && res == resource && v == verb })
			if len(verbs) > 0 {
				out = append(out, rbacv1.PolicyRule{APIGroups: r.APIGroups, Resources: []string{res}, Verbs: verbs})
			}
		}
	}
	return out
}

func TestDoctorFindsWhatIsWrongWithRightsThatOnlyRead(t *testing.T) {
	s := need(t)
	ns := s.namespace(t)
	s.apply(t, ns, sick)
	s.deploy(t, ns, tinyllm("chat"))
	s.apply(t, ns, healthy)
	s.waitCurrentMetrics(t, ns, "chat")

	_, everywhere := doctorRules(t, s.hpatune(t, t.TempDir(), "rbac", "doctor -A").stdout)
	reader := s.kubeconfigFor(t, ns, "reader", nil, everywhere)
	var d diagnosis
	// The command ends after five seconds, and lists the checks that it had no time for. This tests
	// that limit.
	eventually(t, s.patience(20*time.Second), "doctor -A with exactly the rights that hpatune rbac prints", func(context.Context) error {
		r := s.hpatuneAs(t, reader, t.TempDir(), "doctor", "-A", "-o", "json")
		d = diagnosis{}
		if err := json.Unmarshal([]byte(r.stdout), &d); err != nil || r.code != 3 {
			return fmt.Errorf("exit code %d, want 3 for errors; %v\n%s", r.code, err, r.stderr)
		}
		for _, m := range d.NotJudged {
			if !strings.HasPrefix(m, "targets of kind ") {
				return fmt.Errorf("not judged: %s", m)
			}
		}
		if !slices.Contains(d.ids(ns+"/stateful"), "failing-event") || !slices.Contains(d.ids(ns+"/rollout"), "failing-event") {
			return fmt.Errorf("HPAs without a target have %v and %v, want failing-event once the autoscaler has said it", d.ids(ns+"/stateful"), d.ids(ns+"/rollout"))
		}
		return nil
	})
	for _, want := range []string{"missing-request", "no-series", "two-hpas", "max-beyond-quota", "min-one", "memory-target", "queue-value"} {
		if !slices.Contains(d.ids(ns+"/sick"), want) {
			t.Errorf("HPA sick has %v, and %s is missing", d.ids(ns+"/sick"), want)
		}
	}
	if !slices.Contains(d.ids(ns+"/second"), "two-hpas") {
		t.Errorf("HPA second has %v, want two-hpas", d.ids(ns+"/second"))
	}
	if got := d.ids(ns + "/chat"); len(got) > 0 {
		t.Errorf("the healthy HPA has %v: %+v", got, d.Findings)
	}
	for _, f := range d.Findings {
		if f.ID == "missing-request" && f.HPA == ns+"/sick" && !strings.Contains(f.Why, "container proxy has no memory request") {
			t.Errorf("missing-request says %q, want the sidecar named", f.Why)
		}
	}

	r := s.hpatuneAs(t, reader, t.TempDir(), "doctor", "-A")
	t.Logf("doctor -A:\n%s%s", r.stderr, r.stdout)
	if r.code != 3 || !regexp.MustCompile(`(?m)^ok +\S+/chat `).MatchString(r.stdout) || strings.Index(r.stdout, "/chat") < strings.Index(r.stdout, "/sick") || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("exit code %d, want 3 and a plain table, worst first, with the healthy HPA in it:\n%s", r.code, r.stdout)
	}
	if r := s.hpatuneAs(t, reader, t.TempDir(), "doctor", "-n", ns, "chat"); r.code != 0 || !strings.Contains(r.stdout, "1 HPA, 0 findings") {
		t.Errorf("doctor -n %s chat: exit code %d, want 0 and nothing found:\n%s%s", ns, r.code, r.stdout, r.stderr)
	}
	if r := s.hpatuneAs(t, reader, t.TempDir(), "doctor", "-n", ns, "sick", "-o", "sarif"); r.code != 3 || !strings.Contains(r.stdout, `"ruleId": "no-series"`) {
		t.Errorf("doctor -n %s sick -o sarif: exit code %d, want 3 and the rules:\n%s", ns, r.code, r.stdout)
	}
	if r := s.hpatuneAs(t, reader, t.TempDir(), "doctor", "-n", ns, "nobody"); r.code != 2 || !strings.Contains(r.stderr, "no HorizontalPodAutoscaler nobody in namespace "+ns) {
		t.Errorf("doctor of an HPA that is not there: exit code %d, want 2 and its name:\n%s", r.code, r.stderr)
	}
}

func TestDoctorNamesTheVerbThatIsMissing(t *testing.T) {
	s := need(t)
	ns := s.namespace(t)
	s.apply(t, ns, sick)
	inNamespace, everywhere := doctorRules(t, s.hpatune(t, t.TempDir(), "rbac", "doctor", "-n", ns).stdout)
	for _, r := range append(slices.Clone(inNamespace), everywhere...) {
		if slices.ContainsFunc(r.Verbs, func(v string) bool { return v != "get" && v != "list" }) {
			t.Errorf("doctor asks for %v on %v: it only reads", r.Verbs, r.Resources)
		}
	}
	exact := s.kubeconfigFor(t, ns, "exact", inNamespace, everywhere)
	eventually(t, s.patience(20*time.Second), "doctor with its Role and ClusterRole", func(context.Context) error {
		r := s.hpatuneAs(t, exact, t.TempDir(), "doctor")
		if strings.Contains(r.stderr, "needs verb") || r.code != 3 {
			return fmt.Errorf("exit code %d\n%s", r.code, r.stderr)
		}
		return nil
	})
	groups, err := s.kube.Discovery().ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{"": true}
	for _, g := range groups.Groups {
		served[g.Name] = true
	}
	n := 0
	for _, r := range append(slices.Clone(inNamespace), everywhere...) {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				group := r.APIGroups[0]
				if !served[group] {
					t.Logf("not tried, for the cluster does not have it: %s on %s.%s", verb, resource, group)
					continue
				}
				n++
				who := s.kubeconfigFor(t, ns, fmt.Sprintf("less-%d", n), oneLess(inNamespace, group, resource, verb), oneLess(everywhere, group, resource, verb))
				want := "needs verb " + verb + " on " + strings.TrimSuffix(resource+"."+group, ".") + " in "
				eventually(t, s.patience(20*time.Second), "doctor without "+verb+" on "+resource, func(context.Context) error {
					got := s.hpatuneAs(t, who, t.TempDir(), "doctor")
					needed := resource == "horizontalpodautoscalers"
					if strings.Count(got.stderr, "needs verb") != 1 || !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "hpatune rbac doctor prints the Role") || needed != (got.code == 1) || !needed && got.code != 3 {
						return fmt.Errorf("exit code %d, want %q and nothing else missing\n%s", got.code, want, got.stderr)
					}
					return nil
				})
			}
		}
	}
	if n < 10 {
		t.Errorf("%d verbs were taken away, want all that this cluster can show", n)
	}
}
