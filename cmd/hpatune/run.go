package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// runFlags are the flags of `run`.
type runFlags struct {
	sandbox    bool
	url        string
	profile    string
	filename   string
	out        string
	seed       int64
	speed      float64
	objectives []string
	headerFile string
	maxRate    float64
	inFlight   int
	capacity   time.Duration
	caFile     string
	insecure   bool
	http2      string
	yes        bool
	noProbe    bool
	override   profiles.Override
	rate       string
	output     string
	cluster    clusterFlags
	fleet      fleetFlags
}

func newRunCmd(s streams) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:  "run {--sandbox | --url U | --hpa H | --target T} -p PROFILE",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.useless(cmd.Flags().Changed); err != nil {
				return err
			}
			if err := f.fleet.check(cmd); err != nil {
				return err
			}
			return s.runRun(cmd.Context(), f)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.sandbox, "sandbox", false, "")
	fl.StringVar(&f.url, "url", "", "")
	fl.StringVarP(&f.profile, "profile", "p", "", "")
	fl.StringVar(&f.override.Model, "model", "", "")
	fl.StringVar(&f.override.Path, "path", "", "")
	fl.StringVar(&f.rate, "rate", "", "")
	fl.BoolVar(&f.noProbe, "no-probe", false, "")
	fl.StringVarP(&f.filename, "filename", "f", "", "")
	fl.StringVar(&f.out, "out", "", "")
	fl.Int64Var(&f.seed, "seed", 0, "")
	fl.Float64Var(&f.speed, "speed", 20, "")
	fl.StringArrayVar(&f.objectives, "objective", nil, "")
	fl.StringVar(&f.headerFile, "header-file", "", "")
	fl.Float64Var(&f.maxRate, "max-rate", 0, "")
	fl.IntVar(&f.inFlight, "max-in-flight", 0, "")
	fl.DurationVar(&f.capacity, "find-capacity", 0, "")
	fl.Lookup("find-capacity").NoOptDefVal = "20s"
	fl.StringVar(&f.caFile, "ca-file", "", "")
	fl.BoolVar(&f.insecure, "insecure", false, "")
	fl.StringVar(&f.http2, "http2", "", "")
	fl.BoolVar(&f.yes, "yes", false, "")
	outputFlag(fl, &f.output, " (as hpatune report)", "json")
	f.cluster.add(c)
	f.fleet.add(c)
	c.MarkFlagsMutuallyExclusive("sandbox", "url")
	return c
}

func (s streams) runRun(ctx context.Context, f runFlags) error {
	if !f.sandbox && f.url == "" && f.profile == "" && !f.cluster.asked() {
		return usagef("no target: pass --sandbox, --url, --hpa or --target\nTry: hpatune run --sandbox -p demo")
	}
	if f.headerFile != "" { // before anything is said of a load
		if _, err := os.Stat(f.headerFile); err != nil {
			return usagef("--header-file: %w", err)
		}
	}
	p, err := s.plan(f)
	if err != nil {
		return err
	}
	objectives, err := results.ParseObjectives(p.Profile.Objectives)
	if err != nil {
		return exit(exitUsage, err)
	}
	if f.capacity > 0 {
		p.Capacity, p.Objectives = f.capacity, objectives
	}
	switch {
	case f.cluster.asked():
		return s.runOnCluster(ctx, f, p, objectives)
	case f.sandbox:
		err = s.inSandbox(f, &p)
	default:
		err = s.atURL(ctx, f, &p)
	}
	if err != nil {
		return err
	}
	if p.Dir, err = record.Dir(f.out, p.Profile.Name); err != nil {
		return recordError(err)
	}
	run, err := record.Record(ctx, p)
	return s.concluded(run, err, p.Dir, objectives, f.output)
}

// plan is what the flags say of the load, and of how to send it.
func (s streams) plan(f runFlags) (p record.Plan, err error) {
	p = s.planOf(record.Plan{HeaderFile: f.headerFile, MaxRate: f.maxRate, InFlight: f.inFlight, HTTP2: f.http2})
	if p.Profile, p.Source, err = s.readProfile(f.profile, f.sandbox); err != nil {
		return p, err
	}
	if p.Profile, p.Source, err = f.overridden(p.Profile, p.Source); err != nil {
		return p, err
	}
	for _, note := range p.Profile.Notes {
		s.say(note)
	}
	if p.Secrets, err = envHeaders(); err != nil {
		return p, err
	}
	ca, err := f.ca()
	if err != nil {
		return p, err
	}
	if p.TLS, err = record.TLS(ca, f.insecure); err != nil {
		return p, usagef("--ca-file %s: %w", f.caFile, err)
	}
	if p.Seed = p.Profile.Seed; f.seed != 0 {
		p.Seed = f.seed
	}
	if len(f.objectives) > 0 {
		p.Profile.Objectives = f.objectives
	}
	return p, f.fleet.shardOf(&p)
}

// planOf gives a plan the terminal.
func (s streams) planOf(p record.Plan) record.Plan {
	p.Version, p.Screen, p.TTY, p.Say = version, s.err, tty(s.err), s.say
	return p
}

// say prints a step or a warning on stderr.
func (s streams) say(text string) { s.warnf("%s", text) }

// inSandbox completes a plan of run --sandbox.
func (s streams) inSandbox(f runFlags, p *record.Plan) error {
	box, err := s.sandboxOf(f.filename, f.speed)
	if err != nil {
		return err
	}
	if note := record.ForSandbox(p.Profile); note != "" {
		s.say(note)
	}
	if text, short := record.TooShort(
		p.Profile.Duration(),
		box.HPA,
		hpa.DefaultParams(),
		sandbox.DefaultService().Startup(),
	); short {
		s.warnf("warning: %s", text)
	}
	if f.capacity > 0 {
		box.HPA = fixedSize(box.HPA)
	}
	p.Bed = box
	return nil
}

// atURL completes a plan of run --url.
func (s streams) atURL(ctx context.Context, f runFlags, p *record.Plan) error {
	url := cmp.Or(f.url, p.Profile.Target.URL)
	if url == "" {
		return usagef("no target: pass --url or --sandbox, or set target.url in the profile")
	}
	url, err := f.address(p, url)
	if err != nil {
		return err
	}
	if err := s.confirm(*p, url, f.yes); err != nil {
		return err
	}
	if err := s.probe(ctx, f, p, url); err != nil {
		return err
	}
	p.Bed = record.Endpoint{URL: url}
	if f.fleet.workers == 0 {
		return nil
	}
	cluster, err := f.cluster.kube.connect(ctx)
	if err != nil {
		return err
	}
	return f.withFleet(p, cluster, cluster.Namespace, "")
}

// recordError gives an error of recording its exit code: a bad input is usage.
func recordError(err error) error {
	var bad *record.InputError
	var ee *exitError
	switch {
	case err == nil || errors.As(err, &ee):
		return err
	case errors.As(err, &bad):
		return exit(exitUsage, err)
	}
	return exit(exitFailed, err)
}

// envHeaders are headers that are secrets, from HPATUNE_HEADERS: Name: value
// lines, as in a --header-file.
func envHeaders() (http.Header, error) {
	h := http.Header{}
	for line := range strings.Lines(os.Getenv("HPATUNE_HEADERS")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usagef("HPATUNE_HEADERS: want \"Name: value\" on each line") // the line itself may be a secret
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

// ca reads --ca-file; nil = none.
func (f *runFlags) ca() ([]byte, error) {
	if f.caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(f.caFile)
	if err != nil {
		return nil, usagef("--ca-file: %w", err)
	}
	return pem, nil
}

// fixedSize is an HPA that never moves: a capacity is that of a fixed size.
func fixedSize(c hpa.Config) hpa.Config {
	f := c.Clone()
	f.MaxReplicas = f.MinReplicas
	return f
}

// concluded prints what a run says of itself and turns how it ended into an
// exit code.
func (s streams) concluded(
	run *results.Run,
	err error,
	dir string,
	objectives []results.Objective,
	output string,
) error {
	switch {
	case run == nil && errors.Is(err, context.Canceled):
		s.warnf("interrupted before anything was sent")
		return exit(exitInterrupted, nil)
	case run == nil:
		return recordError(err)
	}
	if perr := s.printRun(run, objectives, output); perr != nil {
		return exit(exitFailed, errors.Join(err, perr))
	}
	s.warnf("run folder: %s", dir)
	switch {
	case errors.Is(err, context.Canceled):
		s.warnf("interrupted; the partial run is kept\nTry: hpatune report %s", dir)
		return exit(exitInterrupted, nil)
	case errors.Is(err, record.ErrLeft):
		return exit(exitFailed, nil) // what is left has been said
	case err != nil:
		return exit(exitFailed, fmt.Errorf("%w\nThe partial run is kept. Try: hpatune report %s", err, dir))
	case run.Meta.Client.Aborted != "":
		return exit(
			exitFailed,
			fmt.Errorf(
				"the abort rule ended the run: %s\nThe partial run is kept. Try: hpatune report %s",
				run.Meta.Client.Aborted,
				dir,
			),
		)
	}
	sum := results.Summarize(run, objectives)
	switch {
	case sum.Load.OK == 0 && sum.Load.Scheduled+len(sum.WarmupErrors) > 0:
		why := "no error was recorded"
		for _, e := range slices.Concat(sum.Errors, sum.WarmupErrors) {
			why = e.Error
			break
		}
		return exit(
			exitFailed,
			fmt.Errorf(
				"no request was answered: %s\nCheck that %s is up and speaks %s. The run is kept. Try: hpatune report %s",
				why,
				run.Meta.Target.URL,
				run.Meta.Target.Protocol,
				dir,
			),
		)
	case run.Meta.Context[record.ShardKey] != "":
		s.warnf(
			"this is shard %s, so there is no verdict yet; merge all shards with: hpatune merge %s …",
			run.Meta.Context[record.ShardKey],
			dir,
		)
	case sum.Trust.Verdict == results.Invalid:
		return exit(exitNotValid, nil) // the trust line has said why
	}
	return nil
}

// readProfile reads a profile: a file, or a shipped name; "demo" is the
// sandbox's own.
func (s streams) readProfile(name string, sandboxed bool) (*profiles.Profile, []byte, error) {
	if name == "" && sandboxed {
		name = "demo"
	}
	if name == "" {
		return nil, nil, usagef("no profile: pass -p FILE or -p NAME, one of %s", strings.Join(profiles.Names(), ", "))
	}
	if name == "demo" {
		p, err := profiles.Parse("demo.yaml", sandbox.DemoProfile, nil)
		return p, sandbox.DemoProfile, err
	}
	file, files := profileFile(name)
	if data, err := os.ReadFile(file); err == nil {
		p, err := profiles.Parse(file, data, os.DirFS(files))
		if err != nil {
			return nil, nil, exit(exitUsage, err)
		}
		return p, data, nil
	} else if !errors.Is(err, fs.ErrNotExist) || strings.ContainsAny(name, `/\.`) {
		return nil, nil, exit(exitUsage, fmt.Errorf("profile %s: %w", name, err))
	}
	if near := source.Nearest(name, append([]string{"demo"}, profiles.Names()...)); near != "" && near != name {
		return nil, nil, usagef("profile %q: not a file and not a built-in profile\nTry: %s", name, near)
	}
	data, err := fs.ReadFile(profiles.Shipped(), name+".yaml")
	if err != nil {
		return nil, nil, usagef(
			"profile %q: not a file and not a built-in profile (demo, %s)",
			name,
			strings.Join(profiles.Names(), ", "),
		)
	}
	p, err := profiles.Load(name)
	return p, data, err
}

// profileFile is the file of a profile, and the folder of the files that it
// names. A run folder holds the profile that it sent, and those files.
func profileFile(name string) (file, files string) {
	file = name
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		file = filepath.Join(name, "profile.yaml")
	}
	files = filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(files, "meta.json")); err == nil {
		files = filepath.Join(files, store.InputsDir)
	}
	return file, files
}

// sandboxOf reads the HPA that the sandbox runs.
func (s streams) sandboxOf(file string, speed float64) (*record.Sandbox, error) {
	data := []byte(manifest.Handwritten)
	if file != "" {
		var err error
		if data, err = os.ReadFile(file); err != nil {
			return nil, exit(exitUsage, err)
		}
	}
	if speed < 1 || speed > sandbox.MaxSpeed {
		return nil, usagef("--speed %g: want 1 to %d", speed, sandbox.MaxSpeed)
	}
	if file == "" {
		file = "handwritten.yaml"
	}
	h, err := s.decodeHPA(file, data)
	if err != nil {
		return nil, err
	}
	return &record.Sandbox{HPA: h.Config, Manifest: data, Speed: speed}, nil
}

// capacitySteps is how many steps a capacity search usually takes at most: ten
// doublings, and a bisection to 5 %.
const capacitySteps = 20

// confirm says what is about to be done to whom, and asks. Load to this very
// machine needs no yes.
func (s streams) confirm(p record.Plan, url string, yes bool) error {
	f := p.Profile
	if p.Capacity > 0 {
		limit := "no rate limit, so as many requests as the endpoint answers; set one with --max-rate"
		if p.MaxRate > 0 {
			most := float64(capacitySteps) * p.Capacity.Seconds() * p.MaxRate
			limit = fmt.Sprintf("at most %g/s, so some %.0f requests if it takes %d steps", p.MaxRate, most, capacitySteps)
		}
		s.warnf(
			"Finding the capacity of %s; the stages of %s are not sent. Steps of %s with 1, 2, 4, … up to %d requests in flight (%s), "+
				"then at fixed rates up to 10 %% above the rate reached; about 10 to %d steps.",
			record.RedactURL(url),
			f.Name,
			p.Capacity,
			loadgen.MaxConcurrency,
			limit,
			capacitySteps,
		)
	} else {
		s.warnf("Sending to %s: profile %s, %d requests in %s, at most %.4g/s.",
			record.RedactURL(url), f.Name, f.Preview(p.Seed).Arrivals, f.Duration().Round(time.Second), float64(f.Peak()))
	}
	if yes || record.Loopback(url) {
		return nil
	}
	return s.ask("Continue?")
}

// ask puts a question that only a person at a terminal can answer.
func (s streams) ask(question string) error {
	f, ok := s.in.(*os.File)
	if !ok || !tty(f) || !tty(s.err) {
		return usagef("stdin is not a terminal; pass --yes to confirm")
	}
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(f, &answer); err != nil || !strings.HasPrefix(strings.ToLower(answer), "y") {
		return exit(exitFailed, errors.New("not confirmed; nothing was sent or changed"))
	}
	return nil
}
