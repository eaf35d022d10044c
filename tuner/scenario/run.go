package scenario

import (
	"encoding/json"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Line is one reconcile as `hpatune decide` prints it. Field names are fixed by SCENARIO.md.
type Line struct {
	ID              string           `json:"id"`
	Tick            int              `json:"tick"`
	T               float64          `json:"t"` // seconds since start
	CurrentReplicas int32            `json:"currentReplicas"`
	StatusReplicas  int32            `json:"statusReplicas"`
	DesiredReplicas int32            `json:"desiredReplicas"`
	Replicas        int32            `json:"replicas"`
	Scaled          bool             `json:"scaled"`
	Reason          *string          `json:"reason,omitempty"` // set, perhaps empty, when scaled
	Proposal        *MetricProposal  `json:"proposal,omitempty"`
	PerMetric       []MetricProposal `json:"perMetric"`
	Conditions      []LineCondition  `json:"conditions"`
	Events          []LineEvent      `json:"events"`
	Error           string           `json:"error,omitempty"`
	Explanation     string           `json:"explanation"`
	Diverged        bool             `json:"diverged,omitempty"` // the size has left the recorded one
}

// MetricProposal is what one metric asked for, or why it could not.
type MetricProposal struct {
	Metric   string `json:"metric"`
	Replicas *int32 `json:"replicas,omitempty"`
	Error    string `json:"error,omitempty"`
}

// LineCondition is one of the HPA's conditions.
type LineCondition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// LineEvent is an event on the HPA.
type LineEvent struct {
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Failure is what is printed for a scenario that cannot run.
type Failure struct {
	ID            string `json:"id"`
	ScenarioError string `json:"scenarioError"`
}

// Size is what was recorded around one reconcile: spec.replicas before and after it, and the number
// of quiet reconciles before it that left no trace.
type Size struct {
	Before, After int32
	Unseen        int
}

// Run steps a new controller through the scenario and passes each line to emit; an error of emit
// ends the run.
func Run(s *Scenario, emit func(*Line) error) error { return RunRecorded(s, nil, emit) }

// RunRecorded does the same and compares with a recording, one Size per step. It follows the
// recorded size until its own differs. That line and all later ones say so, and from then on it
// follows its own size, although the observations belong to the recorded one.
func RunRecorded(s *Scenario, recorded []Size, emit func(*Line) error) error {
	if err := s.Validate(); err != nil {
		return err
	}
	r, err := s.Runner()
	if err != nil {
		return err
	}
	diverged := false
	for i := range s.Steps {
		if i < len(recorded) && !diverged {
			r.Replicas = recorded[i].Before
			if n := recorded[i].Unseen; n > 0 && i > 0 {
				r.Controller.Repeat(&r.obs, r.obs.At, s.Steps[i].Observation.At, n)
			}
		}
		r.Step(&s.Steps[i], i < len(recorded))
		line := NewLine(s.ID, i, &r.Decision)
		if i < len(recorded) && r.Replicas != recorded[i].After {
			diverged = true
		}
		line.Diverged = diverged
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

// Runner keeps a controller and the target's size while a scenario runs.
type Runner struct {
	Controller *hpa.Controller
	Replicas   int32 // spec.replicas by now
	Decision   hpa.Decision
	obs        hpa.Observation
}

// Runner returns a runner that is about to take the first step.
func (s *Scenario) Runner() (*Runner, error) {
	c := hpa.New(s.Params)
	c.Name(s.Name)
	if err := c.Remember(s.Memory); err != nil {
		return nil, err
	}
	return &Runner{Controller: c, Replicas: s.Replicas}, nil
}

// Step takes one step; with own, the step's SpecReplicas is ignored.
func (r *Runner) Step(st *Step, own bool) {
	if st.Restart {
		r.Controller.Restart()
	}
	r.obs = st.Observation
	if !st.SetReplicas || own {
		r.obs.SpecReplicas = r.Replicas
	}
	if !st.SetStatusReplicas {
		r.obs.StatusReplicas = r.obs.SpecReplicas
	}
	r.Controller.Step(&r.obs, &r.Decision)
	r.Replicas = r.Decision.Replicas
}

// NewLine converts a decision to the output format.
func NewLine(id string, tick int, d *hpa.Decision) *Line {
	l := &Line{
		ID:              id,
		Tick:            tick,
		T:               d.At.Seconds(),
		CurrentReplicas: d.From,
		StatusReplicas:  d.Status,
		DesiredReplicas: d.Desired,
		Replicas:        d.Replicas,
		Scaled:          d.Scaled,
		PerMetric:       []MetricProposal{},
		Conditions:      []LineCondition{},
		Events:          []LineEvent{},
		Explanation:     d.Explain(),
	}
	if d.Scaled {
		reason := d.RescaleReason()
		l.Reason = &reason
	}
	if d.HasProposal {
		l.Proposal = &MetricProposal{Metric: d.Proposal.Name(), Replicas: &d.Proposal.Replicas}
		n := d.Proposal.Replicas
		l.Proposal.Replicas = &n
	}
	for i := range d.Per {
		p := &d.Per[i]
		m := MetricProposal{Metric: p.Name(), Error: p.Error()}
		if m.Error == "" {
			n := p.Replicas
			m.Replicas = &n
		}
		l.PerMetric = append(l.PerMetric, m)
	}
	for _, c := range d.Conditions {
		if c.Type != hpa.None {
			l.Conditions = append(l.Conditions, LineCondition{c.Type.String(), c.Status.String(), c.ReasonText(), c.Message()})
		}
	}
	for _, e := range d.Events {
		l.Events = append(l.Events, LineEvent{e.Type(), e.Reason.String(), e.Message()})
	}
	if d.Err != nil {
		l.Error = d.Err.Error()
	}
	return l
}

// ReadID finds a scenario's id even if the scenario is invalid.
func ReadID(data []byte) string {
	var s struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(data, &s) // what is not JSON has no id
	return s.ID
}
