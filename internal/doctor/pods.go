package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The checks of the scale target.

func readiness(s *subject) (hits []hit, ok bool) {
	if s.work == nil {
		return nil, false
	}
	for i, c := range s.spec.Containers {
		if len(c.Ports) > 0 && c.ReadinessProbe == nil {
			hits = append(
				hits,
				s.podHit(
					fmt.Sprintf("spec.template.spec.containers[%d]", i),
					"container %s has ports but no readiness probe: it is Ready as soon as it runs, and gets traffic before it "+
						"can answer",
					c.Name,
				),
			)
		}
	}
	return hits, true
}

// earlyReadiness judges a probe by what it tests, and by pods that became ready and then
// unready.
func earlyReadiness(s *subject) (hits []hit, ok bool) {
	if s.work == nil {
		return nil, false
	}
	for i, c := range s.spec.Containers {
		p, path := c.ReadinessProbe, fmt.Sprintf("spec.template.spec.containers[%d].readinessProbe", i)
		if p == nil {
			continue
		}
		// A port opens before a model is loaded. The start-up time must come from a person,
		// since pods only show when the port opened.
		if told := s.facts.Told.Startup; p.TCPSocket != nil && told > time.Duration(p.InitialDelaySeconds)*time.Second &&
			c.StartupProbe == nil {
			hits = append(
				hits,
				s.podHit(
					path,
					"container %s becomes ready when its port opens (after at least %d s), but start-up takes %v",
					c.Name,
					p.InitialDelaySeconds,
					told,
				),
			)
		}
		if p.HTTPGet != nil {
			last := p.HTTPGet.Path[strings.LastIndex(p.HTTPGet.Path, "/")+1:]
			if slices.Contains([]string{"live", "livez", "liveness", "alive"}, strings.ToLower(last)) {
				hits = append(
					hits,
					s.podHit(
						path,
						"container %s becomes ready when %s answers, which shows that the process runs, not that the model is loaded",
						c.Name,
						p.HTTPGet.Path,
					),
				)
			}
		}
	}
	if p := slices.IndexFunc(s.pods, func(p *corev1.Pod) bool { _, ok := flipped(p); return ok }); p >= 0 {
		since, _ := flipped(s.pods[p])
		hits = append(
			hits,
			s.podHit(
				"spec.template.spec.containers",
				"pod %s was ready, and has been unready since %s without a restart: its probe passed before the pod could "+
					"serve, or fails under load",
				s.pods[p].Name,
				since.UTC().Format(time.RFC3339),
			),
		)
	}
	return hits, true
}

func grace(s *subject) ([]hit, bool) {
	if s.work == nil || s.m.LongestAnswer == 0 {
		return nil, false
	}
	g := 30 * time.Second // the API server's default
	if t := s.spec.TerminationGracePeriodSeconds; t != nil {
		g = time.Duration(*t) * time.Second
	}
	if g >= s.m.LongestAnswer {
		return nil, true
	}
	return []hit{
		s.podHit(
			"spec.template.spec.terminationGracePeriodSeconds",
			"a pod is killed %v after its termination begins, and an answer takes up to %v, so scaling down cuts answers off",
			g,
			s.m.LongestAnswer,
		),
	}, true
}

// replicasBeside finds spec.replicas in what a person applied. A live object always has the
// field, so kubectl's annotation or the fields that an applier owns decide.
func replicasBeside(s *subject) ([]hit, bool) {
	if s.work == nil {
		return nil, false
	}
	n, by := s.work.replicas, ""
	if s.facts.Live {
		n = nil
		var applied raw
		note := s.work.meta.Annotations[corev1.LastAppliedConfigAnnotation]
		if json.Unmarshal([]byte(note), &applied) == nil && applied.Spec.Replicas != nil {
			n, by = applied.Spec.Replicas, " of kubectl"
		}
		for _, m := range s.work.meta.ManagedFields {
			var fields struct {
				Spec map[string]any `json:"f:spec"`
			}
			if m.Operation != "Apply" || m.Subresource != "" || m.FieldsV1 == nil ||
				json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields) != nil {
				continue
			}
			if _, owns := fields.Spec["f:replicas"]; owns {
				n, by = s.work.replicas, " of "+m.Manager
			}
		}
	}
	if n == nil {
		return nil, true
	}
	return []hit{
		s.podHit(
			"spec.replicas",
			"each apply%s sets the size to %d until the HPA's next reconcile, whatever the HPA had decided",
			by,
			*n,
		),
	}, true
}

var moving = []string{"latest", "main", "master", "stable", "edge", "nightly", "dev"}

func movingTag(s *subject) (hits []hit, ok bool) {
	if s.work == nil {
		return nil, false
	}
	list, paths := s.containers()
	for i, c := range list {
		name := c.Image[strings.LastIndex(c.Image, "/")+1:]
		_, tag, tagged := strings.Cut(name, ":")
		if !strings.Contains(name, "@") && (!tagged || slices.Contains(moving, tag)) {
			hits = append(
				hits,
				s.podHit(
					paths[i]+".image",
					"image %q may be a different one at the next start: then replicas differ, and measurements are valid for "+
						"none of them",
					c.Image,
				),
			)
		}
	}
	return hits, true
}
