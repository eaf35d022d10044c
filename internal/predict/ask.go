// Package predict answers questions about recordings: which HPA to recommend, what a
// given HPA would have done, and whether a prediction came true. It reads run folders
// and manifests, has tuner compute the answer, and writes advice folders. The command
// turns flags into an Ask and prints what comes back.
package predict

import (
	"io"
	"os"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/manifests"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// Ask is a request for a prediction, as given on the command line. A zero field was not
// given.
type Ask struct {
	Filename   string   // the HPA in place of the recorded one; "-" = Stdin
	Objectives []string // in place of the run's
	Price      string   // of the book, or a YAML file; "" = DefaultPrice
	Seed       int64
	Stated     Stated
	Replicates int // seed of the replicates; Tune does not read it

	Nodes Nodes // of Tune and Verify

	// Of Tune.
	MinFloor, MaxLimit int32    // limits of minReplicas and maxReplicas; 0 = none
	OtherPrices        []string // price lists to compare with; none = the built-in ones
	WhatIf             bool     // add the tables of what would change the recommendation
	Out                string   // the advice folder; "" = advice/ in the first run's

	// Given reports whether a flag was given, for flags whose zero is a valid value; nil =
	// none was.
	Given   func(flag string) bool
	Version string // of hpatune, as it is written into what is made
	Stdin   io.Reader
	Say     func(text string) // takes warnings, one at a time
	// Progress is called during long computations; nil = not.
	Progress func(stage string, done, total int)
}

// Stated is what a person states that the recording could not observe.
type Stated struct {
	Startup    time.Duration // from a pod's creation to its readiness
	Requests   string        // of one pod: "cpu=1,memory=2Gi"
	Controller string        // flags of kube-controller-manager: "syncPeriod=5s"
	Replicas   int32         // at the run's start
}

func (a *Ask) given(flag string) bool { return a.Given != nil && a.Given(flag) }

// OpenRun reads a run folder; controller holds flags of the controller that ran, "" = none.
func OpenRun(dir, controller string) (*results.Run, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, failure.Inputf("run %s: not a folder\nTry: ls results", dir)
	}
	run, err := store.Open(os.DirFS(dir))
	if err != nil {
		return nil, failure.Inputf("run %s: %w", dir, err)
	}
	if err := recorded.ControllerFlags(controller, &run.Meta.HPA); err != nil {
		return nil, err
	}
	return run, nil
}

// Objectives returns the given objectives, or the run's own. If there are none, its error
// suggests one, with the run's own latencies.
func Objectives(run *results.Run, given []string) ([]results.Objective, error) {
	objectives, err := parseObjectives(run, given)
	if err != nil || len(objectives) > 0 {
		return objectives, err
	}
	x, ok := results.Suggest(run)
	if !ok {
		return nil, failure.Inputf("no objective\nTry: --objective \"e2e.p95 < 2s\"")
	}
	return nil, failure.Inputf("no objective\n%s", report.Suggestion(x))
}

// parseObjectives is Objectives, but accepts that there are none.
func parseObjectives(run *results.Run, given []string) ([]results.Objective, error) {
	if len(given) == 0 {
		given = run.Meta.Objectives
	}
	objectives, err := results.ParseObjectives(given)
	return objectives, failure.As(failure.Input, err)
}

// PriceOf reads the prices of --price, and rejects an objective on money in another currency.
func PriceOf(name string, objectives []results.Objective) (tuner.Price, error) {
	p, err := ReadPrice("price", name)
	if err == nil {
		err = sameCurrency(objectives, p)
	}
	return p, err
}

// sameCurrency rejects an objective whose amount has the sign of another currency than the
// price list's. An amount without a sign is in the price list's currency.
func sameCurrency(objectives []results.Objective, p tuner.Price) error {
	sign := figure.Sign(p.Currency)
	if !strings.ContainsAny(sign, signs) {
		return nil // a code, such as CAD, whose dollars may be written $
	}
	for _, o := range objectives {
		i := strings.IndexAny(o.Text, signs)
		if i < 0 || o.Unit != results.Money || strings.HasPrefix(o.Text[i:], sign) {
			continue
		}
		return failure.Inputf("objective %q: the prices are in %s\nTry: the amount in %[2]s, or --price with other prices",
			o.Text, p.Currency)
	}
	return nil
}

// signs are the currency signs that an objective may have.
const signs = "$€£¥"

// GivenHPA reads the HPA of -f (a file, a folder, or - for stdin) and passes the API
// server's warnings to say; nil = no -f.
func GivenHPA(stdin io.Reader, file string, say func(string)) (*recorded.Given, error) {
	if file == "" {
		return nil, nil
	}
	h, err := manifests.HPAOf(stdin, file)
	warn(say, h.Warnings)
	return &recorded.Given{HPA: h, File: file}, err
}

func (a *Ask) givenHPA() (*recorded.Given, error) { return GivenHPA(a.Stdin, a.Filename, a.Say) }

// currentHPA is the HPA of -f, or the one that was recorded.
func (a *Ask) currentHPA(run *results.Run) (manifest.HPA, error) {
	given, err := a.givenHPA()
	if err != nil {
		return manifest.HPA{}, err
	}
	h, err := recorded.Current(run, given)
	if given == nil {
		warn(a.Say, h.Warnings)
	}
	return h, err
}

func warn(say func(string), ps source.Problems) {
	for _, p := range ps {
		say("warning: " + p.String())
	}
}

// loopOf is KEDA's own loop beside an HPA that a ScaledObject makes, with what its triggers
// read in the run; nil for others.
func loopOf(run *results.Run, h manifest.HPA) (*keda.Loop, error) {
	return recorded.Loop(run, h, doctor.OfPods)
}

// contradicts rejects statements about what the run observed itself, since the user expects
// them to count.
func (s *Stated) contradicts(run *results.Run) error {
	if s.Replicas > 0 && len(run.Syncs) > 0 {
		return failure.Inputf("--replicas has no effect on %s, which recorded %d replicas at its start\n"+
			"Try: the same command without --replicas", run.Meta.Run, run.Syncs[0].Spec)
	}
	return nil
}

// state copies what was stated into o.
func (a *Ask) state(o *tuner.Options) error {
	s := a.Stated
	if s.Startup < 0 {
		return failure.Inputf("--startup %v: want a positive duration", s.Startup)
	}
	if s.Replicas < 0 || s.Replicas == 0 && a.given("replicas") {
		return failure.Inputf("--replicas %d: want 1 or more", s.Replicas)
	}
	r, err := manifest.ParseRequests(s.Requests)
	if err != nil {
		return failure.Inputf("--requests %w", err)
	}
	o.Fit.Startup, o.Fit.Replicas = s.Startup, s.Replicas
	o.Fit.CPUMilli, o.Fit.MemoryBytes, o.Fit.GPUs, o.Fit.Extended = r.CPUMilli, r.MemoryBytes, r.GPUs, r.Extended
	return nil
}

// ReadPrice returns the book's entry or reads a file; flag is named in its error.
func ReadPrice(flag, name string) (tuner.Price, error) {
	if name == "" {
		return tuner.DefaultPrice(), nil
	}
	if p, ok := tuner.PriceByName(name); ok {
		return p, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return tuner.Price{}, failure.Inputf("--%s %s: not a file and not one of %s", flag, name,
			strings.Join(tuner.PriceNames(), ", "))
	}
	p, err := tuner.ParsePrice(name, data)
	return p, failure.As(failure.Input, err)
}
