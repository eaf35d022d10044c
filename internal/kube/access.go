package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/layout"
)

// access is one right that commands need. The table below is the only list: the Roles and
// the message about a missing verb come from it.
type access struct {
	group, resource string // "core" resources have group ""
	verbs           string
	cluster         bool     // nodes, APIServices: not in a namespace
	commands        []string // who needs it
	optional        bool     // without it the run continues, and reports what is missing
	why             string
}

var (
	watching = []string{"run"}
	applying = []string{"run --apply", "restore"}
	fixing   = []string{"run --fix-replicas", "restore"}
	holding  = []string{"run --apply", "run --fix-replicas", "run --workers"}
	loading  = []string{"run --workers"}
	judging  = []string{"doctor"} // "doctor -A" is the same in every namespace
	putBack  = []string{"restore"}
)

var table = []access{
	{"autoscaling", "horizontalpodautoscalers", "get list watch", false, watching, false, "what the autoscaler decides"},
	{
		"apps",
		"deployments statefulsets replicasets",
		"get list watch",
		false,
		watching,
		false,
		"the scale target, and who owns it",
	},
	{
		"apps",
		"deployments/scale statefulsets/scale replicasets/scale",
		"get",
		false,
		watching,
		false,
		"the size, as the autoscaler reads it",
	},
	{"", "pods", "list watch", false, watching, false, "when pods start, become ready and end"},
	{"", "events", "list watch", false, watching, true, "image pulls and failures, as the cluster reports them"},
	{"", "services", "list", false, watching, false, "how the pods are reached"},
	{"discovery.k8s.io", "endpointslices", "list watch", false, watching, false, "which pods get traffic"},
	{"networking.k8s.io", "ingresses", "list", false, watching, true, "how the pods are reached from outside"},
	{"gateway.networking.k8s.io", "httproutes", "list", false, watching, true, "how the pods are reached from outside"},
	{"gateway.networking.k8s.io", "gateways", "get", false, watching, true, "how the pods are reached from outside"},
	{"metrics.k8s.io", "pods", "list", false, watching, false, "CPU and memory, as the autoscaler reads them"},
	{"custom.metrics.k8s.io", "*", "get", false, watching, true, "metrics of pods and objects, if the HPA uses any"},
	{"external.metrics.k8s.io", "*", "list", false, watching, true, "external metrics, if the HPA uses any"},
	{"", "resourcequotas", "list", false, watching, true, "how many pods the namespace's quotas admit"},
	{"coordination.k8s.io", "leases", "get", false, watching, true, "whether another run is active"},
	{"keda.sh", "scaledobjects", "get", false, watching, true, "the ScaledObject that the HPA comes from"},
	{
		"",
		"services/proxy",
		"get",
		false,
		[]string{"run --prometheus"},
		false,
		"Prometheus through the API server (where Prometheus is in another namespace, this rule belongs there)",
	},
	{
		"",
		"pods/proxy",
		"get",
		false,
		[]string{"run --scrape"},
		false,
		"the pods' own /metrics, through the API server (it reaches every port of every pod of the namespace)",
	},
	{"", "nodes", "list watch", true, watching, true, "node types, and nodes that are added"},
	{"", "nodes/proxy", "get", true, []string{"run --throttling"}, true, "CPU throttling, from the kubelets"},

	{"autoscaling", "horizontalpodautoscalers", "list", false, judging, false, "the HPAs to check"},
	{"apps", "deployments statefulsets replicasets", "list", false, judging, true, "the scale targets"},
	{"", "pods", "list", false, judging, true, "the pods: requests, readiness, start-up time"},
	{"metrics.k8s.io", "pods", "list", false, judging, true, "whether CPU and memory can be read, and their use"},
	{"custom.metrics.k8s.io", "*", "get", false, judging, true, "whether metrics of pods and objects have series"},
	{"external.metrics.k8s.io", "*", "list", false, judging, true, "whether external metrics have series"},
	{"policy", "poddisruptionbudgets", "list", false, judging, true, "PodDisruptionBudgets that block evictions"},
	{"", "resourcequotas limitranges", "list", false, judging, true, "a quota below maxReplicas, and default requests"},
	{"autoscaling.k8s.io", "verticalpodautoscalers", "list", false, judging, true, "a VPA on the same target"},
	{"keda.sh", "scaledobjects", "list", false, judging, true, "KEDA's cooldown"},
	{"", "events", "list", false, judging, true, "failures, as the cluster reports them"},
	{"", "nodes", "list", true, judging, true, "what fits"},
	{"apiregistration.k8s.io", "apiservices", "list", true, judging, true, "why a metrics API is not available"},

	{
		"autoscaling",
		"horizontalpodautoscalers",
		"update",
		false,
		applying,
		false,
		"the spec, and the annotation that keeps the original",
	},
	{"keda.sh", "scaledobjects", "update", false, applying, true, "the spec of the ScaledObject that an HPA comes from"},
	{
		"apps",
		"deployments statefulsets replicasets",
		"patch",
		false,
		fixing,
		false,
		"the annotation that keeps the original size",
	},
	{"apps", "deployments/scale statefulsets/scale replicasets/scale", "update", false, fixing, false, "the size"},
	{"coordination.k8s.io", "leases", "get create update delete", false, holding, false, "the lease that names the run"},
	{"autoscaling", "horizontalpodautoscalers", "get list", false, putBack, false, "what was changed"},
	{"keda.sh", "scaledobjects", "get list", false, putBack, false, "what was changed"},
	{"apps", "deployments statefulsets replicasets", "get list", false, putBack, false, "what was changed"},
	{"apps", "deployments/scale statefulsets/scale replicasets/scale", "get", false, putBack, false, "the size"},
	{
		"coordination.k8s.io",
		"leases",
		"list delete",
		false,
		putBack,
		false,
		"which runs are active, and what crashed ones left",
	},

	{"batch", "jobs", "create delete", false, loading, false, "the load generators' Job"},
	{"", "secrets", "create", false, loading, false, "who may control the load generators, and secret headers"},
	{"", "pods", "list", false, loading, false, "the load generators' pods"},
	{"", "pods/proxy", "get create", false, loading, false, "to control the load generators and fetch their runs"},
	{"", "events", "list", false, loading, true, "why a load generator does not start"},
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

// knownCommands are those of Commands that a command line is: "run --scrape :8000/metrics
// --apply" is "run", "run --apply" and "run --scrape"; none if its command is unknown.
func knownCommands(line string) (out []string) {
	words := strings.Fields(line)
	for _, c := range Commands() {
		base, flag, _ := strings.Cut(c, " ")
		if len(words) > 0 && words[0] == base && (flag == "" || slices.ContainsFunc(words[1:], func(w string) bool {
			name, _, _ := strings.Cut(w, "=")
			return name == flag
		})) {
			out = append(out, c)
		}
	}
	return out
}

// Rule is a rule of a Role, and what it is for.
type Rule struct {
	rbacv1.PolicyRule
	Cluster  bool   // of a ClusterRole
	Optional bool   // the commands continue without it, and report what is missing
	Why      string // what is read or written with it
}

// Rules returns the rights of the commands, without repetition. "run --apply" includes
// "run"; with -A, all rights of a command are for the whole cluster.
func Rules(commands ...string) ([]Rule, error) {
	want, everywhere := map[string]bool{}, map[string]bool{}
	var named []string
	for _, c := range commands {
		known := knownCommands(c)
		if len(known) == 0 {
			return nil, fmt.Errorf("unknown command %q; try one of %s", c, strings.Join(Commands(), ", "))
		}
		named = append(named, known...)
	}
	for _, c := range named {
		want[c] = true
		if base, flag, ok := strings.Cut(c, " "); ok {
			want[base] = true
			everywhere[base] = everywhere[base] || flag == "-A"
		}
	}
	type key struct {
		cluster         bool
		group, resource string
		optional        bool
	}
	type right struct{ verbs, whys []string }
	rights := map[key]right{}
	for _, a := range table {
		if !slices.ContainsFunc(a.commands, func(c string) bool { return want[c] }) {
			continue
		}
		for resource := range strings.FieldsSeq(a.resource) {
			wide := a.cluster || slices.ContainsFunc(a.commands, func(c string) bool { return everywhere[c] })
			k := key{wide, a.group, resource, a.optional}
			r := rights[k]
			rights[k] = right{append(r.verbs, strings.Fields(a.verbs)...), append(r.whys, a.why)}
		}
	}
	// Resources of one group with the same verbs and purpose share a rule.
	type row struct {
		cluster      bool
		group, verbs string
		optional     bool
		why          string
	}
	rows := map[row][]string{}
	for k, r := range rights {
		if k.optional { // what one command requires is not optional for the other
			k.optional = false
			r.verbs = slices.DeleteFunc(r.verbs, func(v string) bool { return slices.Contains(rights[k].verbs, v) })
			k.optional = true
		}
		if len(r.verbs) == 0 {
			continue
		}
		slices.Sort(r.verbs)
		slices.Sort(r.whys)
		w := row{
			k.cluster,
			k.group,
			strings.Join(slices.Compact(r.verbs), " "),
			k.optional,
			strings.Join(slices.Compact(r.whys), "; "),
		}
		rows[w] = append(rows[w], k.resource)
	}
	var out []Rule
	for r, resources := range rows {
		slices.Sort(resources)
		out = append(
			out,
			Rule{
				rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: resources, Verbs: strings.Fields(r.verbs)},
				r.cluster,
				r.optional,
				r.why,
			},
		)
	}
	slices.SortFunc(out, func(a, b Rule) int {
		return cmp.Or(
			cmp.Compare(a.APIGroups[0], b.APIGroups[0]),
			cmp.Compare(a.Resources[0], b.Resources[0]),
			cmp.Compare(strings.Join(a.Verbs, " "), strings.Join(b.Verbs, " ")),
		)
	})
	return out, nil
}

// Grantee is who gets a Role: a User, a Group, or a ServiceAccount of a namespace.
type Grantee struct{ Kind, Namespace, Name string }

// ServiceAccount is the default Grantee: hpatune, in the namespace of the Role ("" =
// default).
func ServiceAccount(namespace string) Grantee {
	return Grantee{rbacv1.ServiceAccountKind, cmp.Or(namespace, metav1.NamespaceDefault), "hpatune"}
}

func (g Grantee) subject() rbacv1.Subject {
	s := rbacv1.Subject{Kind: g.Kind, Namespace: g.Namespace, Name: g.Name}
	if g.Kind != rbacv1.ServiceAccountKind {
		s.APIGroup = rbacv1.GroupName
	}
	return s
}

// RBAC returns the Role that the commands need in a namespace, the ClusterRole if they read
// nodes, and their bindings to a Grantee, as YAML to apply. A comment before each rule says
// what it is for, and starts with "optional" if the commands continue without it.
func RBAC(namespace string, to Grantee, commands ...string) ([]byte, error) {
	rules, err := Rules(commands...)
	if err != nil {
		return nil, err
	}
	out := comment("Permissions for: " + strings.Join(commands, ", "))
	if to == ServiceAccount(namespace) {
		out = append(out, comment(fmt.Sprintf("Bound to a service account; to create it: kubectl create serviceaccount "+
			"-n %s %s",
			to.Namespace, to.Name))...)
		out = append(out, comment("To bind to somebody else: --user, --group, --serviceaccount")...)
	}
	const api = "rbac.authorization.k8s.io/v1"
	head := func(kind, namespace string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{
			TypeMeta:   metav1.TypeMeta{APIVersion: api, Kind: kind},
			ObjectMeta: metav1.ObjectMeta{Name: "hpatune", Namespace: namespace},
		}
	}
	first := true
	for _, part := range []struct {
		cluster   bool
		kind      string
		namespace string
		comment   string
	}{{false, "Role", namespace, ""}, {true, "ClusterRole", "", "# Not in a namespace.\n"}} {
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.Cluster == part.cluster }) {
			continue
		}
		if !first {
			out = append(append(out, "---\n"...), part.comment...)
		}
		first = false
		if out, err = appendRole(out, head(part.kind, part.namespace), rules, part.cluster); err != nil {
			return nil, err
		}
		text, err := yaml.Marshal(struct {
			metav1.PartialObjectMetadata `json:",inline"`

			RoleRef  rbacv1.RoleRef   `json:"roleRef"`
			Subjects []rbacv1.Subject `json:"subjects"`
		}{head(part.kind+"Binding", part.namespace),
			rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: part.kind, Name: "hpatune"}, []rbacv1.Subject{to.subject()}})
		if err != nil {
			return nil, err
		}
		out = append(append(out, "---\n"...), text...)
	}
	return out, nil
}

// nodesProxy is what a rule on nodes/proxy really grants.
//
// Source: kubernetes.io/docs/concepts/security/rbac-good-practices (access to the
// proxy subresource of nodes); exec over a WebSocket is a GET.
const nodesProxy = " (get on nodes/proxy also allows a user to read all logs and run commands in every container " +
	"of every node, " +
	"without admission control or audit; grant it only for the run)"

// comment is text as a YAML comment that fits a terminal.
func comment(text string) []byte {
	return []byte(layout.Command("# "+text, layout.Columns) + "\n")
}

func appendRole(out []byte, head metav1.PartialObjectMetadata, rules []Rule, cluster bool) ([]byte, error) {
	text, err := yaml.Marshal(head)
	if err != nil {
		return nil, err
	}
	out = append(append(out, text...), "rules:\n"...)
	for _, r := range rules {
		if r.Cluster != cluster {
			continue
		}
		why := r.Why
		if r.Optional {
			why = "optional: " + why
		}
		if slices.Contains(r.Resources, "nodes/proxy") {
			why += nodesProxy
		}
		if text, err = yaml.Marshal([]rbacv1.PolicyRule{r.PolicyRule}); err != nil {
			return nil, err
		}
		out = append(append(out, comment(why)...), text...)
	}
	return out, nil
}
