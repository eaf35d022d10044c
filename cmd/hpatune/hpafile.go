package main

import (
	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/manifests"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/advice"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// hpaFile is the one autoscaler of a manifest.
type hpaFile = manifest.HPA

// loopOf is KEDA's own loop beside an HPA that a ScaledObject makes; nil for others.
func loopOf(h hpaFile) *keda.Loop {
	if h.Scaled == nil {
		return nil
	}
	return h.Scaled.Scaled.Loop(doctor.OfPods)
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
	data, err := manifests.Bytes(s.in, name)
	return data, exitIf(exitUsage, err)
}

// exitIf is exit for an error that may be nil.
func exitIf(code int, err error) error {
	if err == nil {
		return nil
	}
	return exit(code, err)
}

// decodeHPA reads the one HPA among a manifest's documents, and prints what the
// API server would warn of.
func (s streams) decodeHPA(name string, data []byte) (hpaFile, error) {
	h, err := manifest.One(name, data)
	s.warnAll(h.Warnings)
	return h, exitIf(exitUsage, err)
}

func (s streams) warnAll(ps source.Problems) {
	for _, p := range ps {
		s.warnf("warning: %s", p)
	}
}

// firstHPA is what a workload that ran at fixed sizes is compared with.
func firstHPA(runs []*results.Run) (hpaFile, error) {
	c, meta, err := advice.First(runs)
	if err != nil {
		return hpaFile{}, usagef("%w; pass -f hpa.yaml", err)
	}
	return hpaFile{Config: c, First: true, Meta: meta}, nil
}
