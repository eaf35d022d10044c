package manifests

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// HPA is the one autoscaler of a manifest: a HorizontalPodAutoscaler, or the
// one that KEDA makes of a ScaledObject.
type HPA struct {
	Config   hpa.Config
	Identity hpa.Identity
	Meta     manifest.Meta
	Data     []byte        // as written
	First    bool          // there is none yet: this one is only to compare with
	Scaled   *manifest.Doc // the ScaledObject that it is made of; nil = none
	Warnings source.Problems
}

// Bytes reads a manifest: a file, all YAML and JSON of a folder, or - for stdin.
func Bytes(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(stdin)
		return data, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if !info.IsDir() {
		data, err := os.ReadFile(name)
		return data, err
	}
	var all []byte
	err = filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isManifest(p) {
			return err
		}
		data, err := os.ReadFile(p)
		all = append(append(all, "\n---\n"...), data...)
		return err
	})
	return all, err
}

func isManifest(p string) bool {
	switch filepath.Ext(p) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// One reads the one HPA among a manifest's documents, and says what the
// API server would.
func One(name string, data []byte) (HPA, error) {
	docs, problems := manifest.Parse(name, data)
	if err := problems.Err(); err != nil {
		return HPA{}, err
	}
	var found []manifest.Doc
	for _, d := range docs {
		if d.HPA != nil && d.Kind != "InferenceService" { // KServe would undo an HPA in place of its own
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return HPA{}, fmt.Errorf("manifest %s: no HorizontalPodAutoscaler or ScaledObject (found %s)", name, kinds(docs))
	case len(found) > 1:
		return HPA{}, fmt.Errorf("manifest %s: found %d autoscalers, want one", name, len(found))
	}
	c, id, err := found[0].Config()
	if err != nil {
		return HPA{}, fmt.Errorf("manifest %s: %w", name, err)
	}
	h := HPA{Config: c, Identity: id, Meta: manifest.MetaOf(found[0].HPA), Data: data, Warnings: found[0].Warnings}
	if found[0].Scaled != nil {
		h.Scaled = &found[0]
	}
	return h, nil
}

func kinds(docs []manifest.Doc) string {
	var names []string
	for _, d := range docs {
		names = append(names, d.Kind)
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
