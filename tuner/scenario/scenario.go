// Package scenario turns recorded or written inputs into observations for the scaling core and
// runs them: the JSON of SCENARIO.md and the .hpa scripts of this folder's README.md.
package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Scenario is a controller, an HPA and what the controller sees at each of its reconciles.
type Scenario struct {
	ID       string
	Params   hpa.Params
	Name     hpa.Identity
	Spec     *hpa.Config
	Start    time.Time  // what offset 0 stands for
	Memory   hpa.Memory // the state before the first step
	Replicas int32      // spec.replicas before the first step
	Steps    []Step
}

// Step is one reconcile. Observation.SpecReplicas and StatusReplicas count only if they are set here.
type Step struct {
	hpa.Observation
	SetReplicas       bool   // SpecReplicas is given: somebody scaled; else it is what was decided
	SetStatusReplicas bool   // StatusReplicas is given; else it equals spec.replicas
	Restart           bool   // the controller loses its memory before this step
	Label             string // where this step was written, for messages
}

// DefaultSelector is the target's selector if a scenario names none, and DefaultLabel is the label
// of pods that list no labels.
const DefaultSelector = "app=web"

var defaultLabels = map[string]string{"app": "web"}

// Options override what a scenario sets.
type Options struct {
	Spec    *hpa.Config // not nil: takes the place of the hpa field and of its edits
	Release int         // minor release of Kubernetes, 30…37; 0 is the latest. Its gates are the defaults
}

// Parse reads one scenario in the format of SCENARIO.md. The error lists every problem, each with
// its field. If spec is not nil, it replaces the scenario's own hpa field and its edits.
func Parse(data []byte, spec *hpa.Config) (*Scenario, error) {
	return Options{Spec: spec}.Parse(data)
}

// Parse is the function Parse with these options.
func (o Options) Parse(data []byte) (*Scenario, error) {
	if !json.Valid(data) {
		return nil, parseFailure(data)
	}
	p := parser{
		spec: o.Spec,
		s:    &Scenario{Params: hpa.ParamsFor(o.Release), Start: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	p.root(value{raw: data, errs: &p.errs})
	if len(p.errs) > 0 {
		return p.s, errors.Join(p.errs...)
	}
	return p.s, nil
}

// parser holds what later fields of a scenario need to know about earlier ones.
type parser struct {
	s          *Scenario
	spec       *hpa.Config
	errs       []error
	tick       time.Duration
	containers []hpa.Container
	pods       []listed
}

// listed is a pod with its labels.
type listed struct {
	pod    hpa.Pod
	labels map[string]string
}

func (p *parser) root(v value) {
	fields := map[string]value{}
	v.object(func(key string, m value) bool {
		switch key {
		case "id",
			"mode",
			"hpa",
			"controller",
			"featureGates",
			"start",
			"tickSeconds",
			"initialReplicas",
			"containers",
			"initialState",
			"observations":
			fields[key] = m
			return true
		}
		return false
	})
	s := p.s
	s.ID = fields["id"].text()
	if m := fields["mode"]; !m.null() && m.text() != "decision" {
		m.bad("found %s, the only mode is \"decision\"", short(m.raw))
	}
	if m := fields["start"]; !m.null() {
		t, err := time.Parse(time.RFC3339Nano, m.text())
		if err != nil {
			m.bad("found %s, want an RFC 3339 time", short(m.raw))
		}
		s.Start = t
	}
	p.controller(fields["controller"])
	p.gates(fields["featureGates"])
	p.tick = s.Params.SyncPeriod
	if m := fields["tickSeconds"]; !m.null() {
		p.tick = m.seconds()
	}
	s.Replicas = fields["initialReplicas"].replicas()
	p.containers = readContainers(fields["containers"])
	if p.spec != nil {
		s.Spec = p.spec
	} else if m := fields["hpa"]; m.null() {
		*v.errs = append(*v.errs, errors.New("hpa: missing; give an HPA with at least spec.maxReplicas"))
	} else {
		s.Spec, s.Name = readHPA(m)
	}
	p.memory(fields["initialState"])
	if s.Spec == nil {
		return
	}
	current := s.Spec
	fields["observations"].list(func(i int, m value) {
		s.Steps = append(s.Steps, p.step(i, m, &current))
	})
}

func (p *parser) controller(v value) {
	c := &p.s.Params
	v.object(func(key string, m value) bool {
		if m.null() {
			return true
		}
		switch key {
		case "tolerance":
			if c.Tolerance = m.number(); c.Tolerance < 0 {
				m.bad("found %s, want 0 or more", short(m.raw))
			}
		case "downscaleStabilization":
			c.DownscaleStabilization = m.duration()
		case "cpuInitializationPeriod":
			c.CPUInitializationPeriod = m.duration()
		case "initialReadinessDelay":
			c.InitialReadinessDelay = m.duration()
		case "syncPeriod":
			c.SyncPeriod = m.duration()
		default:
			return false
		}
		return true
	})
}

func (p *parser) gates(v value) {
	g := &p.s.Params.Gates
	v.object(func(key string, m value) bool {
		if m.null() {
			return true
		}
		on := m.flag()
		switch key {
		case "HPAScaleToZero":
			g.ScaleToZero = on
		case "HPAConfigurableTolerance":
			g.ConfigurableTolerance = on
		case "PodLevelResources":
			g.PodLevelResources = on
		case "HPAContainerMetrics", "HPAGeneration", "HPAOptimizedSelectorStore", "StaleControllerConsistencyHPA":
			// These fields do not change a decision.
		default:
			return false
		}
		return true
	})
}

func readHPA(v value) (*hpa.Config, hpa.Identity) {
	data := []byte(v.raw)
	if len(data) > 0 && data[0] == '"' {
		data = []byte(v.text())
	}
	c, name, err := manifest.Decode(data)
	if err != nil {
		v.bad("%w", err)
		return nil, name
	}
	return &c, name
}

func readContainers(v value) []hpa.Container {
	cs := []hpa.Container{}
	v.list(func(_ int, m value) {
		var c hpa.Container
		m.object(func(key string, m value) bool {
			switch key {
			case "name":
				c.Name = m.text()
			case "cpuMilli":
				c.CPU, c.HasCPU = m.whole(math.MinInt64, math.MaxInt64), !m.null()
			case "memoryBytes":
				c.Memory, c.HasMemory = milliBytes(m), !m.null()
			case "init":
				c.Init = m.flag()
			case "sidecar":
				c.Sidecar = m.flag()
			default:
				return false
			}
			return true
		})
		cs = append(cs, c)
	})
	return cs
}

// milliBytes reads bytes as thousandths, the unit in which the controller counts memory.
func milliBytes(v value) int64 { return v.whole(math.MinInt64/1000, math.MaxInt64/1000) * 1000 }

func (p *parser) memory(v value) {
	mem := &p.s.Memory
	start := p.s.Start
	events := func(v value) (es []hpa.ScaleEvent) {
		v.list(func(_ int, m value) {
			var e hpa.ScaleEvent
			m.object(func(key string, m value) bool {
				switch key {
				case "at":
					e.At = m.instant(start)
				case "change":
					e.Change = m.replicas()
				case "outdated":
					e.Outdated = m.flag()
				default:
					return false
				}
				return true
			})
			es = append(es, e)
		})
		return es
	}
	v.object(func(key string, m value) bool {
		switch key {
		case "recommendations":
			m.list(func(_ int, m value) {
				var r hpa.Recommendation
				m.object(func(key string, m value) bool {
					switch key {
					case "at":
						r.At = m.instant(start)
					case "replicas":
						r.Replicas = m.replicas()
					default:
						return false
					}
					return true
				})
				mem.Recommendations = append(mem.Recommendations, r)
			})
		case "scaleUpEvents":
			mem.ScaleUp = events(m)
		case "scaleDownEvents":
			mem.ScaleDown = events(m)
		case "conditions":
			m.list(func(_ int, m value) { mem.Conditions = append(mem.Conditions, readCondition(m)) })
			if err := hpa.New(p.s.Params).Remember(hpa.Memory{Conditions: mem.Conditions}); err != nil {
				m.bad("%w", err)
			}
		case "lastScaleTime":
			m.instant(start) // read and checked; no decision depends on it
		case "desiredReplicas":
			mem.DesiredReplicas = m.replicas()
		case "currentReplicas":
			mem.CurrentReplicas = m.replicas()
		default:
			return false
		}
		return true
	})
}

func readCondition(v value) (c hpa.StatusCondition) {
	v.object(func(key string, m value) bool {
		ok := true
		switch key {
		case "type":
			if c.Type, ok = hpa.ParseConditionType(m.text()); !ok {
				m.bad("found %s, want AbleToScale, ScalingActive, ScalingLimited or ScaledToZero", short(m.raw))
			}
		case "status":
			if c.Status, ok = hpa.ParseStatus(m.text()); !ok {
				m.bad("found %s, want True, False or Unknown", short(m.raw))
			}
		case "reason":
			c.Reason = m.text()
		case "message":
			c.Message = m.text()
		case "lastTransitionTime":
		default:
			return false
		}
		return true
	})
	return c
}

// Validate returns the reasons why the scenario cannot run.
func (s *Scenario) Validate() error {
	if s.Spec == nil || len(s.Spec.Metrics) == 0 {
		return fmt.Errorf("scenario %s: no HPA", s.ID)
	}
	return nil
}
