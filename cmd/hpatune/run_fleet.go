package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// fleetFlags are the flags of `run` about many load generators.
type fleetFlags struct {
	shard, start string

	workers           int
	image, pullSecret string
	cpu, memory       string
	avoid             string
	ready             time.Duration
}

func (f *fleetFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.shard, "shard", "", "send only part I of N of the schedule, as I/N: 0/3, 1/3, 2/3 (then: hpatune merge)")
	fl.StringVar(&f.start, "start", "", "begin at this instant, the same for all shards (RFC 3339; default: at once)")
	fl.IntVar(&f.workers, "workers", 0, "send from so many pods of a Job in the cluster (1 = how a laptop reaches a cluster IP)")
	fl.StringVar(&f.image, "image", "ghcr.io/hpatune/hpatune:"+version, "workers: image of this program (make image builds one)")
	fl.StringVar(&f.pullSecret, "image-pull-secret", "", "workers: Secret for a private registry")
	fl.StringVar(&f.cpu, "worker-cpu", "1", "workers: CPU of each, request and limit")
	fl.StringVar(&f.memory, "worker-memory", "512Mi", "workers: memory of each, request and limit")
	fl.StringVar(&f.avoid, "worker-avoid", "", "workers: keep off the nodes of pods with these labels where there are others (app=chat; default: of what is loaded, with --hpa and --target)")
	fl.DurationVar(&f.ready, "worker-timeout", 3*time.Minute, "workers: how long they may take to be ready")
	c.MarkFlagsMutuallyExclusive("workers", "shard")
	c.MarkFlagsMutuallyExclusive("workers", "sandbox")
	c.MarkFlagsMutuallyExclusive("shard", "sandbox")
	c.MarkFlagsMutuallyExclusive("workers", "find-capacity")
	c.MarkFlagsMutuallyExclusive("shard", "find-capacity")
}

// fleetOptions are what a recording knows of its fleet.
type fleetOptions struct {
	shard fleet.Shard // N = 0: the whole schedule
	start time.Time   // zero = at once
	// launch brings up the fleet of one recording; nil = none.
	launch func(context.Context, *recording) (away func(), err error)
	fleet  *fleet.Fleet
	order  fleet.Order // what its workers are told
}

// shardKey names the shard in a run's context.
const shardKey = "shard"

// tell is how long before the start of a run its workers are told: a POST to
// each through the API server.
const tell = 3 * time.Second

// fleetFrom completes a recording by its shard, or by how to bring up its
// fleet.
func (s streams) fleetFrom(f runFlags, o *recording) (err error) {
	if f.fleet.shard != "" {
		if o.shard, err = fleet.ParseShard(f.fleet.shard); err != nil {
			return exit(exitUsage, err)
		}
	}
	if f.fleet.start != "" {
		if o.start, err = time.Parse(time.RFC3339Nano, f.fleet.start); err != nil {
			return usagef("--start %q: not an instant; try %s", f.fleet.start, time.Now().Add(time.Minute).UTC().Format(time.RFC3339))
		}
		if ago := time.Since(o.start); ago > 0 {
			return usagef("--start %s was %s ago", f.fleet.start, ago.Round(time.Second))
		}
	}
	switch {
	case f.fleet.workers < 0:
		return usagef("--workers %d: give 1 or more", f.fleet.workers)
	case f.fleet.workers > 0:
		o.launch = func(ctx context.Context, o *recording) (func(), error) { return s.launch(ctx, f, o) }
	}
	return nil
}

// launch brings up a fleet for a recording; away takes it back.
func (s streams) launch(ctx context.Context, f runFlags, o *recording) (away func(), err error) {
	away = func() {}
	order := fleet.Order{Seed: o.seed, URL: o.url, Profile: "profile.yaml", MaxRate: o.maxRate, InFlight: o.inFlight, HTTP2: o.http2, Insecure: f.insecure}
	order.Files, err = fleet.Bundle(order.Profile, o.source, o.profile.Files, func(files fs.FS) error {
		_, err := profiles.Parse(order.Profile, o.source, files)
		return err
	})
	if err != nil {
		return away, exit(exitUsage, err)
	}
	if f.caFile != "" {
		if order.CA, err = os.ReadFile(f.caFile); err != nil {
			return away, exit(exitUsage, fmt.Errorf("--ca-file: %w", err))
		}
	}
	var headers []byte
	if f.headerFile != "" {
		if headers, err = os.ReadFile(f.headerFile); err != nil {
			return away, exit(exitUsage, fmt.Errorf("--header-file: %w", err))
		}
		headers = append(headers, '\n')
	}
	job := fleet.JobOptions{
		Name: "hpatune-" + strings.ToLower(time.Now().UTC().Format("20060102-150405.000")[4:]), Workers: f.fleet.workers,
		Image: f.fleet.image, PullSecret: f.fleet.pullSecret, CPU: f.fleet.cpu, Memory: f.fleet.memory, Lasts: o.profile.Duration(),
	}
	job.Name = strings.ReplaceAll(job.Name, ".", "-")
	var cluster *kube.Cluster
	avoid := f.fleet.avoid
	if o.cluster != nil {
		cluster, job.Namespace = o.cluster.cluster, o.cluster.subject.Namespace
		avoid = cmp.Or(avoid, o.cluster.subject.Selector)
	} else {
		if cluster, err = f.cluster.kube.connect(ctx); err != nil {
			return away, err
		}
		job.Namespace = cluster.Namespace
	}
	if err := denied(cluster.Context, "context"); err != nil {
		return away, err
	}
	if avoid != "" {
		if job.Avoid, err = metav1.ParseToLabelSelector(avoid); err != nil {
			return away, usagef("--worker-avoid: %w", err)
		}
	}
	if o.secrets != nil {
		for name, values := range o.secrets {
			for _, v := range values {
				headers = fmt.Appendf(headers, "%s: %s\n", name, v)
			}
		}
	}
	s.warnf("making Job %s/%s: %d workers of %s", job.Namespace, job.Name, job.Workers, job.Image)
	many, err := fleet.Launch(ctx, cluster.Clients, fleet.Options{Job: job, Headers: headers, Timeout: f.fleet.ready})
	if err != nil {
		return away, exit(exitFailed, kube.Explain(err, "run --workers"))
	}
	for k, w := range many.Workers {
		s.warnf("worker %d: %s on %s, clock %+.1f ms ± %.1f ms", k, w.Pod, w.Node, w.Ahead.Seconds()*1e3, w.Error.Seconds()*1e3)
	}
	o.fleet, o.order = many, order
	return func() {
		if err := many.Close(ctx); err != nil {
			s.warnf("warning: Job %s/%s could not be deleted (%v); it ends by itself, or: kubectl delete job -n %s %s", job.Namespace, job.Name, err, job.Namespace, job.Name)
		}
	}, nil
}

// sendFleet has the fleet send, and takes its runs as one.
func (o recording) sendFleet(ctx context.Context, l loadgen.Options, meta *results.Meta, pace func()) (loadgen.Report, error) {
	order := o.order
	order.Start = l.Clock.Start
	o.fleet.Start(ctx, order)
	// Ctrl-C ends the sending, not the collecting: what was sent is evidence.
	stopped := context.AfterFunc(ctx, func() { o.fleet.Stop(context.WithoutCancel(ctx)) })
	defer stopped()
	folder, err := os.MkdirTemp("", "hpatune-fleet-")
	if err != nil {
		return loadgen.Report{}, err
	}
	defer os.RemoveAll(folder)
	total := o.profile.Timeouts.Total
	shares := o.fleet.Collect(context.WithoutCancel(ctx), folder, order.Start.Add(o.profile.Duration()+total+2*time.Minute))
	run, err := fleet.Merge(o.profile, o.seed, shares)
	if err != nil {
		return loadgen.Report{}, err
	}
	fleet.Emit(run, l.Emit, pace)
	meta.Partial, meta.Why = run.Meta.Partial, run.Meta.Why
	if meta.Context == nil {
		meta.Context = map[string]string{}
	}
	meta.Context["workers"] = fmt.Sprint(len(shares))
	return loadgen.Report{
		Client: run.Meta.Client, Backends: run.Meta.Backends, Errors: run.Meta.Errors, Aborted: run.Meta.Client.Aborted,
		StartedAt: order.Start, Ended: run.End(), Requests: len(run.Requests),
	}, nil
}

// newWorkerCmd is what the pods of a fleet run; nobody types it.
func newWorkerCmd(s streams) *cobra.Command {
	var listen, secrets, dir string
	c := &cobra.Command{
		Use: "worker", Hidden: true, Args: cobra.NoArgs,
		Short:   "Be a load generator of run --workers: wait for an order, send, hand over the run",
		Example: "  hpatune worker --listen :8099 --secrets /secrets --dir /work",
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := fleet.ReadToken(secrets)
			if err != nil {
				return exit(exitFailed, fmt.Errorf("worker: token: %w", err))
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return exit(exitFailed, err)
			}
			w := fleet.Worker{Token: token, Dir: filepath.Join(dir, "run"), Send: func(ctx context.Context, o fleet.Order, to string) error {
				return s.obey(ctx, o, filepath.Join(dir, "order"), to, filepath.Join(secrets, fleet.HeadersFile))
			}}
			return exitIf(exitFailed, w.Serve(cmd.Context(), l))
		},
	}
	c.Flags().StringVar(&listen, "listen", ":8099", "address to take orders on")
	c.Flags().StringVar(&secrets, "secrets", "/secrets", "folder with the fleet's token, and headers")
	c.Flags().StringVar(&dir, "dir", "/work", "folder to work in")
	return c
}

// obey sends an order's shard into the folder to.
func (s streams) obey(ctx context.Context, order fleet.Order, files, to, headers string) error {
	if err := order.Unpack(files); err != nil {
		return err
	}
	source := order.Files[order.Profile]
	profile, err := profiles.Parse(order.Profile, source, os.DirFS(files))
	if err != nil {
		return err
	}
	o := recording{
		dir: to, profile: profile, source: source, seed: order.Seed, url: order.URL,
		maxRate: order.MaxRate, inFlight: order.InFlight, http2: order.HTTP2,
		fleetOptions: fleetOptions{shard: order.Shard, start: order.Start},
	}
	if _, err := os.Stat(headers); err == nil {
		o.headerFile = headers
	}
	ca := ""
	if order.CA != nil {
		ca = filepath.Join(files, "ca.pem")
		if err := os.WriteFile(ca, order.CA, 0o600); err != nil {
			return err
		}
	}
	if o.tls, err = tlsFrom(ca, order.Insecure); err != nil {
		return err
	}
	_, err = s.record(ctx, o)
	return err
}

func newMergeCmd(s streams) *cobra.Command {
	var out, output string
	c := &cobra.Command{
		Use:   "merge SHARD…",
		Short: "Make one run of the shards of one",
		Long: `merge unites the runs of run --shard 0/N … N-1/N into one: every arrival of the
schedule once, under its own index. The arrivals of a shard that is not given, or
that did not finish, count as never sent, and the run says so.

The machines' clocks are taken to agree (run --workers measures them).`,
		Example: `  at=$(date -u -d '+20 seconds' +%Y-%m-%dT%H:%M:%SZ)
  hpatune run --url http://chat:8000 -p spike --shard 0/2 --start $at --out a    # here
  hpatune run --url http://chat:8000 -p spike --shard 1/2 --start $at --out b    # there
  hpatune merge a b --out results/spike`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runMerge(args, out, output) },
	}
	c.Flags().StringVar(&out, "out", "", "run folder (default: results/PROFILE-TIME)")
	outputFlag(c.Flags(), &output, " (as hpatune report)", "json")
	return c
}

func (s streams) runMerge(folders []string, out, output string) error {
	var shares []fleet.Share
	var model *results.Run
	for _, folder := range folders {
		run, err := store.Open(os.DirFS(folder))
		if err != nil {
			return exit(exitFailed, fmt.Errorf("%s: %w", folder, err))
		}
		shard, err := fleet.ParseShard(run.Meta.Context[shardKey])
		switch {
		case err != nil:
			return exit(exitUsage, fmt.Errorf("%s: not a shard (run --shard I/N makes one)", folder))
		case shares == nil:
			shares, model = make([]fleet.Share, shard.N), run
			for k := range shares {
				shares[k] = fleet.Share{Name: fleet.Shard{I: k, N: shard.N}.String(), Why: "its run was not given"}
			}
		case shard.N != len(shares):
			return exit(exitUsage, fmt.Errorf("%s: shard %s, but %s is one of %d", folder, shard, folders[0], len(shares)))
		case shares[shard.I].Run != nil:
			return exit(exitUsage, fmt.Errorf("%s: shard %s is given twice, the other is %s", folder, shard, shares[shard.I].Name))
		}
		shares[shard.I] = fleet.Share{Run: run, Name: folder}
	}
	profile, err := profiles.Parse("profile.yaml", model.Profile, os.DirFS("."))
	if err != nil {
		return exit(exitUsage, fmt.Errorf("%s: %w\nFiles that a profile names are looked for in the working directory", folders[0], err))
	}
	merged, err := fleet.Merge(profile, model.Meta.Seed, shares)
	if err != nil {
		return exit(exitUsage, err)
	}
	objectives, err := results.ParseObjectives(model.Meta.Objectives)
	if err != nil {
		return exit(exitFailed, err)
	}
	if out, err = runDir(out, profile.Name); err != nil {
		return err
	}
	meta := merged.Meta
	meta.Run = filepath.Base(out)
	meta.Context = map[string]string{"shards": fmt.Sprint(len(shares))}
	log, err := store.Create(out, meta, merged.Profile)
	if err != nil {
		return exit(exitFailed, err)
	}
	fleet.Emit(merged, log.Emit, log.Pace)
	if err := log.Close(meta); err != nil {
		return exit(exitFailed, err)
	}
	run, err := store.Open(os.DirFS(out))
	if err != nil {
		return exit(exitFailed, err)
	}
	return s.concluded(run, nil, out, objectives, cmp.Or(output, "text"))
}
