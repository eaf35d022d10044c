// Package pairs compares what was predicted from one recording with what a
// second recording measured. It asks the product for every figure, so a newer
// build of it can judge old recordings: no cluster is needed.
package pairs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The files of a pair, in its folder.
const (
	Once  = "a1"     // run recorded under A; predictions come from it
	Again = "a2"     // a second run under A: how far two runs of one configuration differ
	Other = "b"      // run recorded under B
	HPAa  = "a.yaml" // manifest of A
	HPAb  = "b.yaml" // manifest of B
	Busy  = "busy"   // largest share of its CPU limit that a ready pod used under B, 0 to 1
)

// Figures are the figures of `verify` that a table shows, in its order.
var Figures = []string{
	"replica_hours", "attainment", "ttft_p95_s", "e2e_p95_s", "time_to_capacity_s", "peak_replicas",
}

// Row is one figure of a pair. nil = not known.
type Row struct {
	Figure    string    `json:"figure"`
	Unit      string    `json:"unit"`
	Predicted *Interval `json:"predicted"`
	Actual    *float64  `json:"actual"`
	// Error is predicted over actual − 1 for hours and seconds, predicted −
	// actual for ratios and counts.
	Error  *float64 `json:"error"`
	Within *bool    `json:"within"` // the actual figure lies in the interval
	Once   *float64 `json:"a_once"`
	Again  *float64 `json:"a_again"`
	// Apart is the difference between the two runs of A, in the unit of Error.
	Apart *float64 `json:"apart"`
	// OnceWithin and AgainWithin: the figures of A1 and A2 are within the interval that the model
	// predicts for their own arrivals.
	OnceWithin  *bool `json:"a_once_within"`
	AgainWithin *bool `json:"a_again_within"`
}

// Interval is a predicted figure with the 90 % interval of one new day.
type Interval struct {
	Value  float64  `json:"value"`
	Lo, Hi *float64 `json:",omitempty"`
}

// Run is what tune reports about one recording.
type Run struct {
	Name       string   `json:"name"`
	Verdict    string   `json:"verdict"`
	SelfReplay string   `json:"self_replay"`
	HoursError *float64 `json:"replica_hours_error"` // of the self-replay
	Shadow     *Shadow  `json:"shadow"`
	Refusals   []string `json:"refusals"`
	Warnings   []string `json:"warnings"`
}

// Shadow counts the real controller's reconciles that the core reproduced.
type Shadow struct {
	Agree, Differ, Unknown, Unseen int
	Rescales, Quiet                struct{ Agree, Differ, Unknown int }
}

// Result is one pair.
type Result struct {
	Name string `json:"name"`
	Rows []Row  `json:"rows"`
	Runs []Run  `json:"runs"`
	// Apart is the mean and the largest distance in replicas between the
	// predicted and the recorded size of B, over time.
	Apart struct {
		Mean    float64 `json:"mean_abs"`
		Largest float64 `json:"max_abs"`
	} `json:"replicas"`
	// Busiest is the largest share of its CPU limit that a ready pod of B used in
	// a metrics window; nil = not recorded.
	Busiest *float64 `json:"busiest"`
}

// Product runs the product with arguments and returns its standard output. An exit code alone is
// not an error, because verdicts have exit codes.
type Product func(ctx context.Context, args ...string) ([]byte, error)

// Program is the Product of a binary, run at low priority, because a load may be measured at the
// same time.
func Program(path string) Product {
	return func(ctx context.Context, args ...string) ([]byte, error) {
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(ctx, "nice", append([]string{"-n", "10", path}, args...)...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || out.Len() == 0) {
			return nil, fmt.Errorf("%s %v: %w\n%s", filepath.Base(path), args, err, errs.Bytes())
		}
		return out.Bytes(), nil
	}
}

// Judge asks the product about the recordings in dir, which has Once, Other, HPAa and HPAb, and
// perhaps Again. It writes advice to a temporary folder. With onceOnly it tunes only Once:
// predictions need no other model, but then the others have no self-replay and no shadow.
func Judge(ctx context.Context, product Product, dir string, onceOnly bool) (*Result, error) {
	tmp, err := os.MkdirTemp("", "pairs-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	in := func(name string) string { return filepath.Join(dir, name) }
	result := &Result{Name: filepath.Base(dir)}
	runs := []string{Once, Other}
	if _, err := os.Stat(in(Again)); err == nil {
		runs = []string{Once, Again, Other}
	}
	for _, run := range runs {
		if onceOnly && run != Once {
			continue
		}
		r, err := tune(ctx, product, in(run), filepath.Join(tmp, run))
		if err != nil {
			return nil, err
		}
		result.Runs = append(result.Runs, r)
	}
	verify := func(run, hpa string) (*verified, error) {
		out, err := product(ctx, "verify", filepath.Join(tmp, Once), in(run), "-f", in(hpa), "-o", "json")
		if err != nil {
			return nil, err
		}
		v := new(verified)
		if err := json.Unmarshal(out, v); err != nil {
			return nil, fmt.Errorf("verify %s: %w: %.300s", run, err, out)
		}
		return v, nil
	}
	once, err := verify(Once, HPAa)
	if err != nil {
		return nil, err
	}
	again := new(verified)
	if slices.Contains(runs, Again) {
		if again, err = verify(Again, HPAa); err != nil {
			return nil, err
		}
	}
	other, err := verify(Other, HPAb)
	if err != nil {
		return nil, err
	}
	result.Apart = other.Replicas
	for _, name := range Figures {
		f, one, two := other.figure(name), once.figure(name), again.figure(name)
		result.Rows = append(result.Rows, Row{
			Figure: name, Unit: f.Unit, Predicted: f.Predicted, Actual: f.Actual, Error: f.Error, Within: f.Within,
			Once: one.Actual, Again: two.Actual, Apart: apart(f.Unit, one.Actual, two.Actual),
			OnceWithin: one.Within, AgainWithin: two.Within,
		})
	}
	if text, err := os.ReadFile(in(Busy)); err == nil {
		share, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in(Busy), err)
		}
		result.Busiest = &share
	}
	return result, nil
}

// verified is the part of `verify -o json` that a table shows.
type verified struct {
	Figures  []compared
	Replicas struct {
		Mean    float64 `json:"mean_abs"`
		Largest float64 `json:"max_abs"`
	}
}

type compared struct {
	Name, Unit string
	Predicted  *Interval
	Actual     *float64
	Error      *float64
	Within     *bool
}

func (v *verified) figure(name string) compared {
	i := slices.IndexFunc(v.Figures, func(c compared) bool { return c.Name == name })
	if i < 0 {
		return compared{Name: name}
	}
	return v.Figures[i]
}

// Relative reports whether differences of a unit are relative.
func Relative(unit string) bool { return unit == "h" || unit == "s" }

// apart is b over a − 1, or b − a.
func apart(unit string, a, b *float64) *float64 {
	if a == nil || b == nil || Relative(unit) && *a == 0 {
		return nil
	}
	d := *b - *a
	if Relative(unit) {
		d /= *a
	}
	return &d
}

// tune asks for a recommendation on a run, for its model and its shadow.
func tune(ctx context.Context, product Product, run, out string) (Run, error) {
	text, err := product(ctx, "tune", run, "--out", out, "-o", "json")
	if err != nil {
		return Run{}, err
	}
	var a struct {
		Verdict    string
		Refusal    []struct{ ID, Text string }
		Warnings   []string
		SelfReplay struct {
			Verdict           string
			ReplicaHoursError *float64 `json:"replica_hours_error"`
		} `json:"self_replay"`
		Shadow *Shadow
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return Run{}, fmt.Errorf("tune %s: %w: %.300s", run, err, text)
	}
	r := Run{Name: filepath.Base(run), Verdict: a.Verdict, SelfReplay: a.SelfReplay.Verdict,
		HoursError: a.SelfReplay.ReplicaHoursError, Shadow: a.Shadow, Warnings: a.Warnings}
	for _, refusal := range a.Refusal {
		r.Refusals = append(r.Refusals, refusal.ID+": "+refusal.Text)
	}
	return r, nil
}
