package record

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// Unite reads the run folders of the shards of one schedule and merges them into one run.
// The arrivals of a shard that is missing, or that did not finish, count as never sent. If
// the folders are not shards, the error is of kind failure.Input.
func Unite(folders []string) (*results.Run, error) {
	var shares []fleet.Share
	var model *results.Run
	for _, folder := range folders {
		run, err := store.Open(os.DirFS(folder))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
		shard, err := fleet.ParseShard(run.Meta.Context[ShardKey])
		switch {
		case err != nil:
			return nil, failure.Inputf("%s: not a shard (run --shard I/N makes one)", folder)
		case shares == nil:
			shares, model = make([]fleet.Share, shard.N), run
			for k := range shares {
				shares[k] = fleet.Share{Name: fleet.Shard{I: k, N: shard.N}.String(), Why: "its run was not given"}
			}
		case shard.N != len(shares):
			return nil, failure.Inputf("%s: shard %s, but %s is one of %d", folder, shard, folders[0], len(shares))
		case shares[shard.I].Run != nil:
			return nil, failure.Inputf("%s: shard %s is given twice, the other is %s", folder, shard, shares[shard.I].Name)
		}
		shares[shard.I] = fleet.Share{Run: run, Name: folder}
	}
	profile, err := profiles.Parse("profile.yaml", model.Profile, os.DirFS("."))
	if err != nil {
		return nil, failure.Inputf(
			"%s: %w\nFiles named by a profile are searched in the working directory",
			folders[0],
			err,
		)
	}
	merged, err := fleet.Merge(profile, model.Meta.Seed, shares)
	if err != nil {
		return nil, failure.As(failure.Input, err)
	}
	merged.Meta.Context = map[string]string{"shards": fmt.Sprint(len(shares))}
	return merged, nil
}

// Keep writes a run to a new run folder, and reads it back.
func Keep(dir string, run *results.Run) (*results.Run, error) {
	meta := run.Meta
	meta.Run = filepath.Base(dir)
	log, err := store.Create(dir, meta, run.Profile)
	if err != nil {
		return nil, err
	}
	fleet.Emit(run, log.Emit, log.Pace)
	if err := log.Close(meta); err != nil {
		return nil, err
	}
	return store.Open(os.DirFS(dir))
}
