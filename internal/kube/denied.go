package kube

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

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
	return fmt.Sprintf(
		"needs verb %s on %s %s: hpatune rbac %s prints the Role",
		f.Verb,
		qualified(f.Resource, f.Group),
		in,
		quoted(f.Command),
	)
}

// qualified is a resource as kubectl writes it: horizontalpodautoscalers.autoscaling.
func qualified(resource, group string) string {
	if group == "" {
		return resource
	}
	return resource + "." + group
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
var cannot = regexp.MustCompile(
	`cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?`,
)

// Explain turns a refusal of the API server into a Forbidden that says which right the
// command lacks; other errors stay as they are.
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

// Missing asks the API server which rights the commands lack for a subject:
// those without which they cannot do at all, as one error, better before the
// load than in the middle of it; and what those lack that they go on without,
// a sentence each. Where it will not say, the requests themselves will.
func (c *Cluster) Missing(ctx context.Context, s *Subject, commands ...string) (lacks []string, err error) {
	var errs []error
	asked := map[string]bool{} // and whether it is allowed
	may := func(namespace, verb, group, resource string) (bool, error) {
		key := namespace + " " + verb + " " + group + "/" + resource
		if allowed, ok := asked[key]; ok {
			return allowed, nil
		}
		name, sub, _ := strings.Cut(resource, "/")
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace:   namespace,
				Verb:        verb,
				Group:       group,
				Resource:    name,
				Subresource: sub,
			},
		}}
		answer, err := c.Clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		asked[key] = answer.Status.Allowed
		return answer.Status.Allowed, nil
	}
	said := map[string]bool{}
	for _, a := range table {
		i := slices.IndexFunc(a.commands, func(x string) bool { return slices.Contains(commands, x) })
		if i < 0 {
			continue
		}
		namespace := s.Namespace
		if a.cluster {
			namespace = ""
		}
		for resource := range strings.FieldsSeq(a.resource) {
			if !c.matters(a, resource, s) {
				continue
			}
			var without []string
			for verb := range strings.FieldsSeq(a.verbs) {
				allowed, err := may(namespace, verb, a.group, resource)
				if err != nil {
					return nil, nil
				}
				if allowed {
					continue
				}
				f := &Forbidden{Verb: verb, Resource: resource, Group: a.group, Namespace: namespace, Command: a.commands[i]}
				switch text := f.Error(); {
				case a.optional && verb != "update": // a write is no option where it matters
					without = append(without, verb)
				case !said[text]:
					said[text] = true
					errs = append(errs, f)
				}
			}
			if len(without) > 0 && c.served(a.group, resource) {
				lacks = append(
					lacks,
					fmt.Sprintf(
						"no permission to %s %s, so this is not recorded: %s",
						strings.Join(without, ", "),
						qualified(resource, a.group),
						a.why,
					),
				)
			}
		}
	}
	return lacks, errors.Join(errs...)
}

// matters reports whether a right concerns the subject: the Role covers all kinds of
// targets and metrics, a run only its own.
func (c *Cluster) matters(a access, resource string, s *Subject) bool {
	name, _, _ := strings.Cut(resource, "/")
	uses := func(is func(autoscalingv2.MetricSpec) bool) bool {
		return s.HPA != nil && slices.ContainsFunc(s.HPA.Spec.Metrics, is)
	}
	switch a.group {
	case "apps":
		return name == s.Target.Resource.Resource
	case "autoscaling": // a target without an HPA: that there is none has been seen
		return s.HPA != nil && (a.verbs != "update" || s.Scaled == nil)
	case "keda.sh":
		return a.verbs != "update" || s.Scaled != nil
	case "custom.metrics.k8s.io":
		return uses(func(m autoscalingv2.MetricSpec) bool { return m.Pods != nil || m.Object != nil })
	case "external.metrics.k8s.io":
		return uses(func(m autoscalingv2.MetricSpec) bool { return m.External != nil })
	}
	return true
}

// served reports whether the cluster has a resource at all.
func (c *Cluster) served(group, resource string) bool {
	if group == "" || resource == "*" { // "*": a metrics API, which an HPA asks for
		return true
	}
	name, _, _ := strings.Cut(resource, "/")
	_, err := c.Mapper.ResourceFor(schema.GroupVersionResource{Group: group, Resource: name})
	return err == nil
}
