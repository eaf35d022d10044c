package kube

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"errors"
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

func TestRulesNeverWriteUnlessAsked(t *testing.T) {
	for _, c := range []string{"run", "doctor", "doctor -A", "run --prometheus", "run --throttling"} {
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
	text, err := RBAC("ml", "run --apply")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"namespace: ml", "- update", "- watch", "leases", "kind: ClusterRole"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("RBAC(run --apply) lacks %q:\n%s", want, text)
		}
	}
	if _, err := RBAC("ml", "fly"); err == nil || !strings.Contains(err.Error(), "run --apply") {
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
	text, err := RBAC("", "doctor -A")
	if err != nil || strings.Contains(string(text), "kind: Role\n") || strings.Contains(string(text), "- get\n  - list") || !strings.Contains(string(text), "kind: ClusterRole") {
		t.Errorf("RBAC(doctor -A) = %s, %v, want a ClusterRole alone", text, err)
	}
	// A run beside it keeps its Role.
	if text, err = RBAC("ml", "run", "doctor -A"); err != nil || !strings.Contains(string(text), "kind: Role\n") {
		t.Errorf("RBAC(run, doctor -A) = %s, %v, want a Role for the run", text, err)
	}
	if got := (&Forbidden{Verb: "list", Resource: "pods", Command: "doctor -A"}).Error(); !strings.HasSuffix(got, "hpatune rbac 'doctor -A' prints the Role") {
		t.Errorf("Forbidden = %q", got)
	}
}
