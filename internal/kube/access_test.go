package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

func TestExplain(t *testing.T) {
	refusal := func(text string) error {
		return fmt.Errorf("HPA ml/x: %w", apierrors.NewForbidden(schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}, "x", errors.New(text)))
	}
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"a missing verb in a namespace", refusal(`User "u" cannot get resource "horizontalpodautoscalers" in API group "autoscaling" in the namespace "ml"`),
			"needs verb get on horizontalpodautoscalers.autoscaling in ml: hpatune rbac run prints the Role"},
		{"a missing verb in the cluster, core group", refusal(`User "u" cannot list resource "nodes" in API group "" at the cluster scope`),
			"needs verb list on nodes in the whole cluster: hpatune rbac run prints the Role"},
		{"another error stays", apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "x"), `pods "x" not found`},
		{"no error stays none", nil, "<nil>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(Explain(tt.err, "run")); got != tt.want {
				t.Errorf("Explain = %q, want %q", got, tt.want)
			}
		})
	}
}

// A command line may have values and several flags, as it was typed.
func TestRightsOfACommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"run --scrape :8000/metrics":              "run, run --scrape",
		"run --scrape=:8000/metrics --apply -p x": "run, run --apply, run --scrape",
		"run --target deployment/x":               "run",
		"doctor -A":                               "doctor, doctor -A",
		"tune":                                    "",
	} {
		if got := strings.Join(knownCommands(line), ", "); got != want {
			t.Errorf("knownCommands(%q) = %q, want %q", line, got, want)
		}
	}
	text, err := RBAC("ml", ServiceAccount("ml"), "run --scrape :8000/metrics", "run --throttling", "run --prometheus")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(string(text), "pods/proxy") {
		t.Errorf("RBAC of run --scrape lacks pods/proxy:\n%s", text)
	}
}

func TestRulesNeverWriteUnlessAsked(t *testing.T) {
	for _, c := range []string{"run", "doctor", "doctor -A", "run --prometheus", "run --scrape", "run --throttling"} {
		rules, err := Rules(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			for _, v := range r.Verbs {
				if v != "get" && v != "list" && v != "watch" {
					t.Errorf("Rules(%q): %s on %v: this command only reads", c, v, r.Resources)
				}
			}
		}
	}
	text, err := RBAC("ml", ServiceAccount("ml"), "run --apply")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"namespace: ml", "- update", "- watch", "leases", "kind: ClusterRole\n", "kind: RoleBinding", "kind: ClusterRoleBinding", "kind: ServiceAccount\n  name: hpatune\n  namespace: ml"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("RBAC(run --apply) lacks %q:\n%s", want, text)
		}
	}
	if _, err := RBAC("ml", ServiceAccount("ml"), "fly"); err == nil || !strings.Contains(err.Error(), "run --apply") {
		t.Errorf("RBAC(fly) = %v, want the commands that are known", err)
	}
}

func TestDoctorEverywhereIsOneClusterRole(t *testing.T) {
	everywhere, err := Rules("doctor -A")
	if err != nil || len(everywhere) == 0 || slices.ContainsFunc(everywhere, func(r Rule) bool { return !r.Cluster }) {
		t.Errorf("Rules(doctor -A) = %v, %v, want rules for the whole cluster only", everywhere, err)
	}
	one, err := Rules("doctor")
	if err != nil || len(one) < len(everywhere) {
		t.Errorf("Rules(doctor) = %v, %v, want the same rights in a namespace", one, err)
	}
	text, err := RBAC("", ServiceAccount(""), "doctor -A")
	if err != nil || strings.Contains(string(text), "kind: Role\n") || strings.Contains(string(text), "- get\n  - list") || !strings.Contains(string(text), "kind: ClusterRole") {
		t.Errorf("RBAC(doctor -A) = %s, %v, want a ClusterRole alone", text, err)
	}
	// A run beside it keeps its Role.
	if text, err = RBAC("ml", ServiceAccount("ml"), "run", "doctor -A"); err != nil || !strings.Contains(string(text), "kind: Role\n") {
		t.Errorf("RBAC(run, doctor -A) = %s, %v, want a Role for the run", text, err)
	}
	if got := (&Forbidden{Verb: "list", Resource: "pods", Command: "doctor -A"}).Error(); !strings.HasSuffix(got, "hpatune rbac 'doctor -A' prints the Role") {
		t.Errorf("Forbidden = %q", got)
	}
}

func TestRBACBindsAndSaysWhatItGrants(t *testing.T) {
	text, err := RBAC("ml", Grantee{"User", "", "jane"}, "run", "run --throttling")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var b rbacv1.ClusterRoleBinding // a Role has none of its fields but the head
		if err := yaml.Unmarshal([]byte(doc), &b); err != nil {
			t.Fatal(err)
		}
		kinds[b.Kind]++
		role, binding := strings.CutSuffix(b.Kind, "Binding")
		if binding && (b.RoleRef.Kind != role || b.RoleRef.Name != b.Name || len(b.Subjects) != 1 || b.Subjects[0] != rbacv1.Subject{Kind: "User", APIGroup: "rbac.authorization.k8s.io", Name: "jane"}) {
			t.Errorf("%s binds %+v to %+v", b.Kind, b.RoleRef, b.Subjects)
		}
	}
	for _, k := range []string{"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} {
		if kinds[k] != 1 {
			t.Errorf("%d of kind %s, want 1:\n%s", kinds[k], k, text)
		}
	}
	if !strings.Contains(string(text), "run commands in every container") {
		t.Errorf("it does not say what get on nodes/proxy grants:\n%s", text)
	}
	if text, err = RBAC("ml", ServiceAccount("ml"), "run"); err != nil || strings.Contains(string(text), "nodes/proxy") {
		t.Errorf("a run without --throttling speaks of nodes/proxy (%v):\n%s", err, text)
	}
}
