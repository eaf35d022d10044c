package tuner

import (
	"encoding/json"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// RecommendationSchema is the version of recommendation.json.
const RecommendationSchema = "hpatune.recommendation/v1"

// Verdict is what a Recommendation comes to.
type Verdict string

// The verdicts.
const (
	Change Verdict = "change" // another configuration is better
	Keep   Verdict = "keep"   // the current one is the pick
	Refuse Verdict = "refuse" // the evidence does not carry advice
)

// Recommendation is recommendation.json: what to run, why, what it costs and
// how sure that is. It holds no clock, host or path: the same runs, seed and
// version make the same bytes.
type Recommendation struct {
	Schema     string    `json:"schema"`
	Version    string    `json:"version"`
	Runs       []string  `json:"runs"`
	Seed       int64     `json:"seed"`
	Verdict    Verdict   `json:"verdict"`
	Refusal    []Refusal `json:"refusal"`
	Objectives []string  `json:"objectives"`
	// NotCovered are the objectives that the prediction does not cover; no figure below
	// counts them as met.
	NotCovered []NotCovered `json:"not_covered,omitempty"`
	// Assumed lists what was stated and not measured.
	Assumed []string `json:"assumed"`
	// Trust is the verdict on the evidence: valid, unverified (invalid refuses).
	Trust      string     `json:"trust"`
	SelfReplay SelfReplay `json:"self_replay"`
	Shadow     *Shadow    `json:"shadow"`

	// Measured is what the run recorded; everything else that has a figure is
	// predicted.
	Measured    *Measured `json:"measured"`
	Current     *Pick     `json:"current"`
	Recommended *Pick     `json:"recommended"`
	// Equals are as good as Recommended, but change more: they hold, and their cost is
	// within 2 % of its cost. At most four.
	Equals       []*Pick      `json:"equals"`
	Alternatives Alternatives `json:"alternatives"`
	Changes      []Changed    `json:"changes"`

	// Zero is what a size of zero would do; null if nothing could wake the target.
	Zero       *Zero      `json:"zero"`
	LoadMargin *Interval  `json:"load_margin"` // largest multiple of the load at which the objectives hold
	Candidates Candidates `json:"candidates"`
	Price      Price      `json:"price"`
	// Unpriced names the requested resources for which Price has no price; no cost is then
	// given.
	Unpriced []string `json:"unpriced,omitempty"`
	Worst    []Worst  `json:"worst"`
	// WhatIf is what would change the bill or the attainment most, starting with what
	// nothing would meet; null if it was not computed.
	WhatIf []WhatIf `json:"what_if"`
	// Signals are the recorded metrics that the HPA does not scale on, the cheapest first;
	// null if none was recorded, or they were not requested. Without a recommendation, they
	// only contain what the fit knows.
	Signals  []SignalRow `json:"signals"`
	Warnings []string    `json:"warnings"`
	Notes    []string    `json:"notes"` // what is worth knowing and is no fault

	// Front is every shortlisted candidate as a point of cost against attainment, for the
	// report's chart.
	Front []Point `json:"front"`
}

// Refusal is one reason why there is no recommendation, and what would help.
type Refusal struct {
	ID        string `json:"id"`
	Text      string `json:"text"`
	SettledBy string `json:"settled_by"`
}

// Pick is one configuration and what it would do.
type Pick struct {
	Config hpa.Config `json:"-"`
	// Spec is Config as an autoscaling/v2 spec with defaults filled in; the caller writes
	// it, since manifests belong to another package.
	Spec json.RawMessage `json:"spec"`
	// ScaledObject is the whole object from which KEDA makes that spec; null if KEDA does
	// not own the HPA.
	ScaledObject json.RawMessage `json:"scaled_object"`
	Predicted    Predicted       `json:"predicted"`
}

// Predicted is what the replay predicts for a configuration, each figure over the
// replicates.
type Predicted struct {
	Attainment *Interval `json:"attainment"` // share of requests that met every per-request limit
	PSLOMet    float64   `json:"p_slo_met"`  // share of replicates in which every objective held
	// PSLOMetInterval is its 90 % interval; a configuration is feasible if Lo is at least
	// 0.9. Replicates is the number of replicates.
	PSLOMetInterval *Interval `json:"p_slo_met_interval"`
	Replicates      int       `json:"replicates"`
	ReplicaHours    *Interval `json:"replica_hours"`
	ReadyHours      *Interval `json:"ready_hours"`
	// NodeHours are from a node's request to its removal; nil without Options.Nodes.
	NodeHours      *Interval `json:"node_hours,omitempty"`
	TTFTP95        *Interval `json:"ttft_p95_s"`
	E2EP95         *Interval `json:"e2e_p95_s"`
	ErrorRatio     *Interval `json:"error_ratio"`
	Flaps          *Interval `json:"flaps"`
	TimeToCapacity *Interval `json:"time_to_capacity_s"`
	USDHour        *Interval `json:"usd_hour"`
	USDMonth       Monthly   `json:"usd_month"`
	USDPerMRequest *Interval `json:"usd_per_million_requests"`
	USDPerMToken   *Interval `json:"usd_per_million_tokens"`
	MaxReplicas    *Interval `json:"peak_replicas"`
}

// Monthly is the cost of a month of 730 hours: always at minReplicas, as expected if the
// profile says what it represents, and always at maxReplicas.
type Monthly struct {
	Floor    *float64  `json:"floor"`
	Expected *Interval `json:"expected"`
	Ceiling  *float64  `json:"ceiling"`
}

// Alternatives are other picks worth a look.
type Alternatives struct {
	Cheapest      *Pick `json:"cheapest"`
	Safest        *Pick `json:"safest"`
	MinimalChange *Pick `json:"minimal_change"`
}

// Changed is a setting that the recommendation changes, with its effect.
type Changed struct {
	Path string `json:"path"`
	// SourcePath is where the setting is in the ScaledObject; "" = KEDA does not own the
	// HPA.
	SourcePath string `json:"source_path,omitempty"`
	From       string `json:"from"`
	To         string `json:"to"`
	// Effect is what the change does with the others in place: recommended minus the same
	// with this setting reverted. Reverted is the same with the opposite sign. Both are
	// null if reverting it is not a valid configuration.
	Effect   *Reverted `json:"effect"`
	Reverted *Reverted `json:"reverted"`
	Why      string    `json:"why"`
}

// Reverted is the difference that one setting makes, paired over the same replicates.
type Reverted struct {
	USDMonth       *Interval `json:"usd_month"` // of this load, repeated for a month
	Attainment     *Interval `json:"attainment"`
	Flaps          *Interval `json:"flaps"`
	TimeToCapacity *Interval `json:"time_to_capacity_s"`
	PSLOMet        float64   `json:"p_slo_met"` // of the configuration after the change: recommended, else reverted
}

// negated is the opposite difference, to a configuration that holds with probability p.
func (r *Reverted) negated(p float64) *Reverted {
	return &Reverted{r.USDMonth.negated(), r.Attainment.negated(), r.Flaps.negated(), r.TimeToCapacity.negated(), p}
}

// Candidates counts what was looked at.
type Candidates struct {
	Fluid int `json:"fluid"`
	Exact int `json:"exact"`
}

// Worst is a period that missed the objectives most, with the limiting factor.
type Worst struct {
	FromS   float64 `json:"from_s"`
	ToS     float64 `json:"to_s"`
	Missed  float64 `json:"missed"` // requests
	BoundBy Bound   `json:"bound_by"`
	Text    string  `json:"text"`
}

// Bound is what kept the size below the need.
type Bound string

// The bounds, in the order in which they are named if several are equally frequent.
const (
	BoundStartup   Bound = "startup" // pods were on their way
	BoundLag       Bound = "lag"     // the metric did not show the load yet
	BoundPolicy    Bound = "policy"
	BoundMax       Bound = "max"
	BoundTolerance Bound = "tolerance"
	BoundWindow    Bound = "window"
)

// Mark says which configuration a Point is; "" = one of the others.
type Mark string

// The marks.
const (
	MarkCurrent     Mark = "current"
	MarkRecommended Mark = "recommended"
)

// Point is a candidate on the chart of cost against attainment.
type Point struct {
	USDHour    float64 `json:"usd_hour"`
	Hours      float64 `json:"replica_hours"`
	Attainment float64 `json:"attainment"`
	Feasible   bool    `json:"feasible"`
	Mark       Mark    `json:"mark,omitempty"`
	Text       string  `json:"text"` // one line that names the configuration
}

// Error makes a Refusal the error of what returns no recommendation.
func (r *Refusal) Error() string { return r.Text + "\nTry: " + r.SettledBy }
