package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/advice"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// hpaFile is the one autoscaler of a manifest: a HorizontalPodAutoscaler, or the
// one that KEDA makes of a ScaledObject.
type hpaFile struct {
	Config   hpa.Config
	Identity hpa.Identity
	Meta     manifest.Meta
	Data     []byte        // as written
	First    bool          // there is none yet: this one is only to compare with
	Scaled   *manifest.Doc // the ScaledObject that it is made of; nil = none
}

// readHPA reads the HPA of -f: a file, a folder, or - for standard input.
func (s streams) readHPA(name string) (hpaFile, error) {
	data, err := s.readManifest(name)
	if err != nil {
		return hpaFile{}, err
	}
	return s.decodeHPA(name, data)
}

// readManifest reads a manifest: a file, all YAML and JSON of a folder, or -.
func (s streams) readManifest(name string) ([]byte, error) {
	if name == "-" {
		data, err := io.ReadAll(s.in)
		return data, exitIf(exitFailed, err)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, exit(exitUsage, fmt.Errorf("manifest: %w", err))
	}
	if !info.IsDir() {
		data, err := os.ReadFile(name)
		return data, exitIf(exitUsage, err)
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
	return all, exitIf(exitUsage, err)
}

func isManifest(p string) bool {
	switch filepath.Ext(p) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// exitIf is exit for an error that may be nil.
func exitIf(code int, err error) error {
	if err == nil {
		return nil
	}
	return exit(code, err)
}

// decodeHPA reads the one HPA among a manifest's documents, and says what the
// API server would.
func (s streams) decodeHPA(name string, data []byte) (hpaFile, error) {
	docs, problems := manifest.Parse(name, data)
	if err := problems.Err(); err != nil {
		return hpaFile{}, exit(exitUsage, err)
	}
	var found []manifest.Doc
	for _, d := range docs {
		if d.HPA != nil && d.Kind != "InferenceService" { // KServe would undo an HPA in place of its own
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return hpaFile{}, exit(exitUsage, fmt.Errorf("manifest %s: no HorizontalPodAutoscaler or ScaledObject (found %s)", name, kinds(docs)))
	case len(found) > 1:
		return hpaFile{}, exit(exitUsage, fmt.Errorf("manifest %s: found %d autoscalers, want one", name, len(found)))
	}
	s.warnAll(found[0].Warnings)
	c, id, err := found[0].Config()
	if err != nil {
		return hpaFile{}, exit(exitUsage, fmt.Errorf("manifest %s: %w", name, err))
	}
	h := hpaFile{Config: c, Identity: id, Meta: manifest.MetaOf(found[0].HPA), Data: data}
	if found[0].Scaled != nil {
		h.Scaled = &found[0]
	}
	return h, nil
}

func (s streams) warnAll(ps source.Problems) {
	for _, p := range ps {
		s.warnf("warning: %s", p)
	}
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

// firstHPA is what a workload that ran at fixed sizes is compared with.
func firstHPA(runs []*results.Run) (hpaFile, error) {
	c, meta, err := advice.First(runs)
	if err != nil {
		return hpaFile{}, usagef("%w; pass -f hpa.yaml", err)
	}
	return hpaFile{Config: c, First: true, Meta: meta}, nil
}
