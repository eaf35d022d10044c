package manifest

import (
	"fmt"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// HPA is the one autoscaler of a manifest: a HorizontalPodAutoscaler, or the
// one that KEDA makes of a ScaledObject.
type HPA struct {
	Config   hpa.Config
	Identity hpa.Identity
	Meta     Meta
	Data     []byte // as written
	First    bool   // there is none yet: this one is only for comparison
	Scaled   *Doc   // the ScaledObject that makes it; nil = none
	Warnings source.Problems
}

// One reads the one HPA among a manifest's documents, and says what the
// API server would.
func One(name string, data []byte) (HPA, error) {
	docs, problems := Parse(name, data)
	if err := problems.Err(); err != nil {
		return HPA{}, err
	}
	var found []Doc
	for _, d := range docs {
		if d.HPA != nil && d.Kind != "InferenceService" { // KServe would revert an HPA
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return HPA{}, fmt.Errorf("manifest %s: no HorizontalPodAutoscaler or ScaledObject (found %s)", name, Kinds(docs))
	case len(found) > 1:
		var which []string
		for _, d := range found {
			which = append(which, fmt.Sprintf("%s %s at line %d", d.Kind, d.Name, d.Line))
		}
		return HPA{}, fmt.Errorf("manifest %s: found %d autoscalers, want one: %s\nTry: a file with only one of them",
			name, len(found), strings.Join(which, ", "))
	}
	c, id, err := found[0].Config()
	if err != nil {
		return HPA{}, fmt.Errorf("manifest %s: %w", name, err)
	}
	h := HPA{Config: c, Identity: id, Meta: MetaOf(found[0].HPA), Data: data, Warnings: found[0].Warnings}
	if found[0].Scaled != nil {
		h.Scaled = &found[0]
	}
	return h, nil
}

// Kinds lists the kinds of objects, for an error: "Service, Deployment", or
// "nothing".
func Kinds(docs []Doc) string {
	var names []string
	for _, d := range docs {
		names = append(names, d.Kind)
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
