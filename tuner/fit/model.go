package fit

import (
	"fmt"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// ModelSchema is the version of model.json.
const ModelSchema = "hpatune.model/v1"

// Model is model.json: what was fitted to a run, without its demand. verify and replay use it
// with other arrivals.
type Model struct {
	Schema     string       `json:"schema"`
	Version    string       `json:"version"`
	Run        string       `json:"run"`
	Objectives []string     `json:"objectives"`
	Seed       int64        `json:"seed"`
	Replica    cost.Replica `json:"replica"`
	Price      cost.Price   `json:"price"`
	Represents string       `json:"represents,omitempty"`
	Assumed    []string     `json:"assumed,omitempty"`
	// Fitted is the world; its Demand is empty.
	Fitted replay.World `json:"fitted"`
}

// World returns the fitted world with a run's own arrivals, from the size with which the run
// began: what the model predicts for that run. cfg is the configuration that ran.
func (m *Model) World(run *results.Run, cfg hpa.Config) (*replay.World, error) {
	if m.Schema != ModelSchema {
		return nil, fmt.Errorf("model: schema %q, this version reads %q; create it again with hpatune tune", m.Schema,
			ModelSchema)
	}
	d, _, err := demandOf(run, run.Meta.Stages, run.Gaps)
	if err != nil {
		return nil, err
	}
	w := m.Fitted // the run's reconcile times are chance that a model does not predict, so Sync is kept
	w.Demand = d
	w.Replicas, _ = replicasOf(readLog(run), 0, cfg.MinReplicas)
	w.Memory = hpa.Memory{}
	w.Wall = run.Meta.Start
	w.Recorded, _ = recordedOf(run, w.Loop)
	return replay.New(w)
}
