package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// access is one thing that commands ask of the API server. The table below is
// the only list: the Roles and the message about a missing verb come from it.
type access struct {
	group, resource string // "core" resources have group ""
	verbs           string
	cluster         bool     // nodes, APIServices: not in a namespace
	commands        []string // who needs it
	optional        bool     // without it the run goes on, and says what it lacks
	why             string
}

var (
	watching = []string{"run"}
	judging  = []string{"doctor"} // "doctor -A" is the same in every namespace
	applying = []string{"run --apply", "restore"}
	fixing   = []string{"run --fix-replicas", "restore"}
)

var table = []access{
	{"autoscaling", "horizontalpodautoscalers", "get list watch", false, watching, false, "what the autoscaler decides"},
	{"apps", "deployments statefulsets replicasets", "get list watch", false, watching, false, "the scale target, and who owns it"},
	{"apps", "deployments/scale statefulsets/scale replicasets/scale", "get", false, watching, false, "the size, as the autoscaler reads it"},
	{"", "pods", "get list watch", false, watching, false, "the pods' lives"},
	{"", "events", "list watch", false, watching, true, "image pulls and failures, in the cluster's words"},
	{"", "services", "get list", false, watching, false, "the way in"},
	{"discovery.k8s.io", "endpointslices", "list watch", false, watching, false, "who gets traffic"},
	{"networking.k8s.io", "ingresses", "list", false, watching, true, "the way in from outside"},
	{"gateway.networking.k8s.io", "gateways httproutes", "get list", false, watching, true, "the way in from outside"},
	{"metrics.k8s.io", "pods", "get list", false, watching, false, "CPU and memory, as the autoscaler reads them"},
	{"custom.metrics.k8s.io", "*", "get list", false, watching, true, "pods' and objects' metrics, where the HPA has some"},
	{"external.metrics.k8s.io", "*", "get list", false, watching, true, "external metrics, where the HPA has some"},
	{"coordination.k8s.io", "leases", "get", false, watching, true, "whether another run is on"},
	{"", "services/proxy", "get", false, []string{"run --prometheus"}, false, "Prometheus through the API server"},
	{"", "nodes", "get list watch", true, watching, true, "node types, and nodes that are added"},
	{"", "nodes/proxy", "get", true, []string{"run --throttling"}, true, "CPU throttling, from the kubelets"},

	{"autoscaling", "horizontalpodautoscalers", "list", false, judging, false, "what is judged"},
	{"apps", "deployments statefulsets replicasets", "list", false, judging, true, "the scale targets"},
	{"", "pods", "list", false, judging, true, "what runs: requests, readiness, how long a start takes"},
	{"metrics.k8s.io", "pods", "list", false, judging, true, "whether CPU and memory can be read, and their use"},
	{"custom.metrics.k8s.io", "*", "get", false, judging, true, "whether pods' and objects' metrics have series"},
	{"external.metrics.k8s.io", "*", "list", false, judging, true, "whether external metrics have series"},
	{"policy", "poddisruptionbudgets", "list", false, judging, true, "budgets that block"},
	{"", "resourcequotas limitranges", "list", false, judging, true, "quota below the maximum; default requests"},
	{"autoscaling.k8s.io", "verticalpodautoscalers", "list", false, judging, true, "a VPA on the same target"},
	{"keda.sh", "scaledobjects", "list", false, judging, true, "KEDA's cooldown"},
	{"", "events", "list", false, judging, true, "failures, in the cluster's words"},
	{"", "nodes", "list", true, judging, true, "what fits"},
	{"apiregistration.k8s.io", "apiservices", "list", true, judging, true, "why a metrics API is not available"},

	{"autoscaling", "horizontalpodautoscalers", "update patch", false, applying, false, "the spec, and the annotation with what was there"},
	{"apps", "deployments statefulsets replicasets", "patch", false, fixing, false, "the annotation with the size that was there"},
	{"apps", "deployments/scale statefulsets/scale replicasets/scale", "update", false, fixing, false, "the size"},
	{"coordination.k8s.io", "leases", "get list create update delete", false, []string{"run --apply", "run --fix-replicas", "restore"}, false, "the lease that names the run"},
	{"autoscaling", "horizontalpodautoscalers", "get list", false, []string{"restore"}, false, "what was changed"},
	{"apps", "deployments statefulsets replicasets", "get list", false, []string{"restore"}, false, "what was changed"},
	{"apps", "deployments/scale statefulsets/scale replicasets/scale", "get", false, []string{"restore"}, false, "the size"},

	{"batch", "jobs", "create delete", false, []string{"run --workers"}, false, "the load generators' Job"},
	{"", "secrets", "create", false, []string{"run --workers"}, false, "who may give the load generators orders, and secret headers"},
	{"", "pods", "get list", false, []string{"run --workers"}, false, "the load generators' pods"},
	{"", "pods/proxy", "get create", false, []string{"run --workers"}, false, "the load generators' orders and runs"},
}

// Commands lists the commands whose rights are known, sorted.
func Commands() []string {
	out := []string{"doctor -A"}
	for _, a := range table {
		out = append(out, a.commands...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Rules returns what the commands may ask for in a namespace and in the whole
// cluster, without repetition. "run --apply" includes "run"; with -A, all that a
// command asks for is in the whole cluster.
func Rules(commands ...string) (namespaced, cluster []rbacv1.PolicyRule, err error) {
	want, everywhere := map[string]bool{}, map[string]bool{}
	for _, c := range commands {
		if !slices.Contains(Commands(), c) {
			return nil, nil, fmt.Errorf("command %q: not known here; try one of %s", c, strings.Join(Commands(), ", "))
		}
		want[c] = true
		if base, flag, ok := strings.Cut(c, " "); ok {
			want[base] = true
			everywhere[base] = everywhere[base] || flag == "-A"
		}
	}
	type key struct {
		cluster         bool
		group, resource string
	}
	verbs := map[key][]string{}
	for _, a := range table {
		if !slices.ContainsFunc(a.commands, func(c string) bool { return want[c] }) {
			continue
		}
		for resource := range strings.FieldsSeq(a.resource) {
			wide := a.cluster || slices.ContainsFunc(a.commands, func(c string) bool { return everywhere[c] })
			k := key{wide, a.group, resource}
			verbs[k] = append(verbs[k], strings.Fields(a.verbs)...)
		}
	}
	// Resources of one group with the same verbs share a rule.
	type row struct {
		cluster      bool
		group, verbs string
	}
	rows := map[row][]string{}
	for k, vs := range verbs {
		slices.Sort(vs)
		r := row{k.cluster, k.group, strings.Join(slices.Compact(vs), " ")}
		rows[r] = append(rows[r], k.resource)
	}
	for r, resources := range rows {
		slices.Sort(resources)
		rule := rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: resources, Verbs: strings.Fields(r.verbs)}
		if r.cluster {
			cluster = append(cluster, rule)
		} else {
			namespaced = append(namespaced, rule)
		}
	}
	for _, list := range [][]rbacv1.PolicyRule{namespaced, cluster} {
		slices.SortFunc(list, func(a, b rbacv1.PolicyRule) int {
			return cmp.Or(cmp.Compare(a.APIGroups[0], b.APIGroups[0]), cmp.Compare(a.Resources[0], b.Resources[0]))
		})
	}
	return namespaced, cluster, nil
}

// RBAC returns the Role that the commands need in a namespace, and the
// ClusterRole beside it where they look at nodes, as YAML to apply.
func RBAC(namespace string, commands ...string) ([]byte, error) {
	namespaced, cluster, err := Rules(commands...)
	if err != nil {
		return nil, err
	}
	words := strings.Join(commands, ", ")
	out := []byte("# What these commands ask for: " + words + "\n")
	const version = "rbac.authorization.k8s.io/v1"
	if len(namespaced) > 0 {
		text, err := yaml.Marshal(rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: "Role"}, ObjectMeta: metav1.ObjectMeta{Name: "hpatune", Namespace: namespace}, Rules: namespaced})
		if err != nil {
			return nil, err
		}
		out = append(out, text...)
		if len(cluster) == 0 {
			return out, nil
		}
		out = append(out, "---\n# Not in a namespace. The commands go on without it, and say what they lack.\n"...)
	}
	text, err := yaml.Marshal(rbacv1.ClusterRole{TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: "ClusterRole"}, ObjectMeta: metav1.ObjectMeta{Name: "hpatune"}, Rules: cluster})
	return append(out, text...), err
}

// Forbidden is a right that is missing.
type Forbidden struct {
	Verb, Resource, Group, Namespace string // Namespace "" = the whole cluster
	Command                          string // whose Role has it
	err                              error
}

// Error names the verb and the command that prints the Role.
func (f *Forbidden) Error() string {
	in := "in the whole cluster"
	if f.Namespace != "" {
		in = "in " + f.Namespace
	}
	resource := f.Resource
	if f.Group != "" {
		resource += "." + f.Group
	}
	return fmt.Sprintf("needs verb %s on %s %s: hpatune rbac %s prints the Role", f.Verb, resource, in, quoted(f.Command))
}

func (f *Forbidden) Unwrap() error { return f.err }

func quoted(s string) string {
	if strings.Contains(s, " ") {
		return "'" + s + "'"
	}
	return s
}

// cannot reads the API server's refusal; its machine-readable part has no verb.
//
// Source: k8s.io/apiserver pkg/endpoints/handlers/responsewriters/errors.go, forbiddenMessage.
var cannot = regexp.MustCompile(`cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?`)

// Explain turns a refusal of the API server into a Forbidden that says what
// right command lacks; other errors stay as they are.
func Explain(err error, command string) error {
	var status apierrors.APIStatus
	if err == nil || !errors.As(err, &status) || !apierrors.IsForbidden(err) {
		return err
	}
	m := cannot.FindStringSubmatch(status.Status().Message)
	if m == nil {
		return err
	}
	return &Forbidden{Verb: m[1], Resource: m[2], Group: m[3], Namespace: m[4], Command: command, err: err}
}

// Missing asks the API server which rights the commands lack for a subject,
// those without which they cannot do at all, and returns them as one error:
// better before the load than in the middle of it. Where it will not say, the
// requests themselves will.
func (c *Cluster) Missing(ctx context.Context, s *Subject, commands ...string) error {
	var errs []error
	asked := map[string]bool{}
	for _, a := range table {
		if a.optional || !slices.ContainsFunc(a.commands, func(x string) bool { return slices.Contains(commands, x) }) {
			continue
		}
		for resource := range strings.FieldsSeq(a.resource) {
			name, sub, _ := strings.Cut(resource, "/")
			if _, isTarget := targets[name]; a.group == "apps" && isTarget && name != s.Target.Resource.Resource {
				continue // the Role has all kinds, this run needs one
			}
			for verb := range strings.FieldsSeq(a.verbs) {
				key := verb + " " + a.group + "/" + resource
				if asked[key] {
					continue
				}
				asked[key] = true
				review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
					ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: s.Namespace, Verb: verb, Group: a.group, Resource: name, Subresource: sub},
				}}
				answer, err := c.Clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
				if err != nil {
					return nil
				}
				if !answer.Status.Allowed {
					errs = append(errs, &Forbidden{Verb: verb, Resource: resource, Group: a.group, Namespace: s.Namespace, Command: commands[len(commands)-1]})
				}
			}
		}
	}
	return errors.Join(errs...)
}

var targets = map[string]bool{"deployments": true, "statefulsets": true, "replicasets": true}
