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
	fl.StringVar(&f.shard, "shard", "", "")
	fl.StringVar(&f.start, "start", "", "")
	fl.IntVar(&f.workers, "workers", 0, "")
	fl.StringVar(&f.image, "image", "ghcr.io/hpatune/hpatune:"+version, "")
	fl.StringVar(&f.pullSecret, "image-pull-secret", "", "")
	fl.StringVar(&f.cpu, "worker-cpu", "1", "")
	fl.StringVar(&f.memory, "worker-memory", "512Mi", "")
	fl.StringVar(&f.avoid, "worker-avoid", "", "")
	fl.DurationVar(&f.ready, "worker-timeout", 3*time.Minute, "")
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
	c.Flags().StringVar(&listen, "listen", ":8099", "")
	c.Flags().StringVar(&secrets, "secrets", "/secrets", "")
	c.Flags().StringVar(&dir, "dir", "/work", "")
	return c
}

func newMergeCmd(s streams) *cobra.Command {
	var out, output string
	c := &cobra.Command{
		Use:  "merge SHARD…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.runMerge(args, out, output) },
	}
	c.Flags().StringVar(&out, "out", "", "")
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
