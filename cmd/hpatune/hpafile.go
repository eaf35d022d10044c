package main

import (
	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/manifests"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// loopOf is KEDA's own loop beside an HPA that a ScaledObject makes; nil for others.
func loopOf(h manifest.HPA) *keda.Loop {
	if h.Scaled == nil {
		return nil
	}
	return h.Scaled.Scaled.Loop(doctor.OfPods)
}

// given reads the HPA of -f (a file, a folder, or - for standard input) and prints
// what the API server would warn of; nil = no -f.
func (s streams) given(file string) (*recorded.Given, error) {
	if file == "" {
		return nil, nil
	}
	h, err := manifests.HPAOf(s.in, file)
	s.warnAll(h.Warnings)
	return &recorded.Given{HPA: h, File: file}, err
}

// currentHPA is the HPA of -f, or the one that was recorded.
func (s streams) currentHPA(run *results.Run, file string) (manifest.HPA, error) {
	given, err := s.given(file)
	if err != nil {
		return manifest.HPA{}, err
	}
	h, err := recorded.Current(run, given)
	if given == nil {
		s.warnAll(h.Warnings)
	}
	return h, err
}

func (s streams) warnAll(ps source.Problems) {
	for _, p := range ps {
		s.warnf("warning: %s", p)
	}
}
