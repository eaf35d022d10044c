package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/record"
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
	fl.StringVar(
		&f.shard,
		"shard",
		"",
		"send only part I of N of the schedule, as I/N, counted from 0; then use hpatune merge",
	)
	fl.StringVar(&f.start, "start", "", "start time, the same for all shards (RFC 3339; default: now)")
	fl.IntVar(&f.workers, "workers", 0, "number of in-cluster worker pods to send from")
	fl.StringVar(&f.image, "image", "ghcr.io/hpatune/hpatune:"+version, "workers: hpatune image ('make image' builds one)")
	fl.StringVar(&f.pullSecret, "image-pull-secret", "", "workers: Secret for a private registry")
	fl.StringVar(&f.cpu, "worker-cpu", "1", "workers: CPU request and limit of each pod")
	fl.StringVar(&f.memory, "worker-memory", "512Mi", "workers: memory request and limit of each pod")
	fl.StringVar(
		&f.avoid,
		"worker-avoid",
		"",
		"workers: prefer nodes without pods with these labels, as in app=chat (default: the labels of the loaded pods)",
	)
	fl.DurationVar(&f.ready, "worker-timeout", 3*time.Minute, "workers: how long to wait until they are ready")
	c.MarkFlagsMutuallyExclusive("workers", "shard")
	c.MarkFlagsMutuallyExclusive("workers", "sandbox")
	c.MarkFlagsMutuallyExclusive("shard", "sandbox")
	c.MarkFlagsMutuallyExclusive("workers", "find-capacity")
	c.MarkFlagsMutuallyExclusive("shard", "find-capacity")
}

// check refuses a number of workers that sends nothing.
func (f *fleetFlags) check(c *cobra.Command) error {
	if c.Flags().Changed("workers") && f.workers < 1 {
		return usagef("--workers %d: want 1 or more pods to send from", f.workers)
	}
	return nil
}

// shardOf completes a plan by its part of the schedule, and when that begins.
func (f *fleetFlags) shardOf(p *record.Plan) (err error) {
	if f.shard != "" {
		if p.Shard, err = fleet.ParseShard(f.shard); err != nil {
			return exit(exitUsage, err)
		}
	}
	if f.start != "" {
		if p.Start, err = time.Parse(time.RFC3339Nano, f.start); err != nil {
			return usagef(
				"--start %q: not an RFC 3339 time\nTry: %s",
				f.start,
				time.Now().Add(time.Minute).UTC().Format(time.RFC3339),
			)
		}
		if ago := time.Since(p.Start); ago > 0 {
			return usagef("--start %s is in the past (%s ago)", f.start, ago.Round(time.Second))
		}
	}
	if f.workers < 0 {
		return usagef("--workers %d: want 1 or more", f.workers)
	}
	return nil
}

// withFleet has a plan's bed loaded by the pods of a Job, if the flags say so;
// avoid are the labels of pods whose nodes it keeps off unless told otherwise.
func (f *runFlags) withFleet(p *record.Plan, c *kube.Cluster, namespace, avoid string) error {
	if f.fleet.workers == 0 {
		return nil
	}
	if err := record.Denied(c.Context, "context"); err != nil {
		return recordError(err)
	}
	ca, err := f.ca()
	if err != nil {
		return err
	}
	b := &record.Fleet{
		Bed: p.Bed, Client: c.Clients, Timeout: f.fleet.ready, CA: ca, Insecure: f.insecure,
		Job: fleet.JobOptions{
			Namespace: namespace, Workers: f.fleet.workers,
			Image: f.fleet.image, PullSecret: f.fleet.pullSecret, CPU: f.fleet.cpu, Memory: f.fleet.memory,
		},
	}
	if avoid = cmp.Or(f.fleet.avoid, avoid); avoid != "" {
		if b.Job.Avoid, err = metav1.ParseToLabelSelector(avoid); err != nil {
			return usagef("--worker-avoid: %w", err)
		}
	}
	p.Bed = b
	return nil
}

// newWorkerCmd is what the pods of a fleet run; nobody types it.
func newWorkerCmd(s streams) *cobra.Command {
	var listen, secrets, dir string
	c := &cobra.Command{
		Use: "worker", Hidden: true, Args: cobra.NoArgs,
		Short:   "Run as a worker of hpatune run --workers",
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
			w := fleet.Worker{
				Token: token,
				Dir:   filepath.Join(dir, "run"),
				Send: func(ctx context.Context, o fleet.Order, to string) error {
					return record.Obey(
						ctx,
						o,
						s.planOf(record.Plan{Dir: to}),
						filepath.Join(dir, "order"),
						filepath.Join(secrets, fleet.HeadersFile),
					)
				},
			}
			return exitIf(exitFailed, w.Serve(cmd.Context(), l))
		},
	}
	c.Flags().StringVar(&listen, "listen", ":8099", "address to take orders on")
	c.Flags().StringVar(&secrets, "secrets", "/secrets", "folder with the token and the headers")
	c.Flags().StringVar(&dir, "dir", "/work", "folder to work in")
	return c
}

func newMergeCmd(s streams) *cobra.Command {
	var out, output string
	c := &cobra.Command{
		Use:   "merge SHARD…",
		Short: "Merge the shards of a run",
		Long: `merge combines the recordings of run --shard 0/N to N-1/N into one run. Arrivals
of shards that are missing or did not finish count as not sent, and the run says
so.

The clocks of the machines must agree. (run --workers measures and corrects
them.)`,
		Example: `  at=$(date -u -d '+20 seconds' +%Y-%m-%dT%H:%M:%SZ)
  # On one machine, then on the other
  hpatune run --url http://chat:8000 -p spike --shard 0/2 --start $at --out a
  hpatune run --url http://chat:8000 -p spike --shard 1/2 --start $at --out b

  # With both folders on one machine
  hpatune merge a b --out results/spike`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runMerge(args, out, output) },
	}
	c.Flags().StringVar(&out, "out", "", "run folder (default: results/PROFILE-TIME)")
	outputFlag(c.Flags(), &output, " (as hpatune report)", "json")
	return c
}

func (s streams) runMerge(folders []string, out, output string) error {
	merged, err := record.Unite(folders)
	if err != nil {
		return recordError(err)
	}
	objectives, err := results.ParseObjectives(merged.Meta.Objectives)
	if err != nil {
		return exit(exitFailed, err)
	}
	if out, err = record.Dir(out, merged.Meta.Profile); err != nil {
		return recordError(err)
	}
	run, err := record.Keep(out, merged)
	if err != nil {
		return exit(exitFailed, err)
	}
	return s.concluded(run, nil, out, objectives, output)
}
