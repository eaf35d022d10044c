//go:build linux

package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const modulePath = "github.com/hpatune/hpatune/test/cluster"

// kubeVersion is the version of k8s.io/kubernetes in go.mod. The linker puts it into
// the programs, because a build from modules has no git tag.
const kubeVersion = "1.37.2"

// BuildFlags are the build flags of every program. They leave out debug data, which
// halves the compile time, and trim paths, so that a fresh clone in another folder
// reuses what the last one compiled. A test binary built with them reuses the
// compiled client-go.
var BuildFlags = []string{
	"-trimpath",
	"-buildvcs=false",
	"-tags=grpcnotrace,no_btrfs,no_zfs,no_devmapper",
	"-gcflags=all=-dwarf=false",
}

// Images maps the payloads' image references to their programs. Build writes them
// as archives, and Up imports them.
var Images = map[string]string{
	"hpacluster.test/pause:1":        "pause",
	"hpacluster.test/tinyllm:1":      "tinyllm",
	"hpacluster.test/linguaserver:1": "linguaserver",
	"hpacluster.test/countproxy:1":   "countproxy",
}

var components = []string{
	"etcd",
	"kube-apiserver",
	"kube-controller-manager",
	"kube-scheduler",
	"kube-proxy",
	"kubelet",
	"metrics-server",
}

// Programs are folders of built programs. They are outside the clone, and their
// names contain the hash of all their sources, so that the next clone on the same
// machine need not build them again.
type Programs struct {
	Kube string // kubeall with a link for each component, containerd, its shim, ctr, cni/
	Own  string // hpacluster, the payloads, images/*.tar
}

// set describes one of the folders. Kube takes minutes to build, and rarely changes.
type set struct {
	dir     string // final folder
	ldflags string
	sources []string            // globs below the module, hashed with go.mod, go.sum and the flags
	builds  map[string][]string // folder below dir → packages
	finish  func(dir string) error
}

func sets(module, home string) ([]set, error) {
	version := "k8s.io/component-base/version"
	minor := strings.Split(kubeVersion, ".")[1]
	kube := set{
		ldflags: fmt.Sprintf(
			"-s -w -X %[1]s.gitVersion=v%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=%[3]s -X %[1]s.gitCommit=modproxy -X %[1]s.gitTreeState=clean -X %[1]s.buildDate=2026-01-01T00:00:00Z",
			version,
			kubeVersion,
			minor,
		),
		sources: []string{"cmd/kubeall/*.go", "cmd/containerd/*.go"},
		builds: map[string][]string{
			"": {
				"./cmd/kubeall",
				"./cmd/containerd",
				"github.com/containerd/containerd/v2/cmd/ctr",
				"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			},
			"cni": {"github.com/containernetworking/plugins/plugins/main/bridge",
				"github.com/containernetworking/plugins/plugins/ipam/host-local"},
		},
		finish: func(dir string) error {
			for _, c := range components {
				if err := os.Symlink("kubeall", filepath.Join(dir, c)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	own := set{
		ldflags: "-s -w",
		sources: []string{
			"*.go",
			"config/*",
			"tinyllm/*.go",
			"cmd/hpacluster/*.go",
			"cmd/pause/*.go",
			"cmd/tinyllm/*.go",
			"cmd/linguaserver/*.go",
			"countproxy/*.go",
			"cmd/countproxy/*.go",
		},
		builds: map[string][]string{"": {
			"./cmd/hpacluster", "./cmd/pause", "./cmd/tinyllm", "./cmd/linguaserver", "./cmd/countproxy",
		}},
		finish: writeImages,
	}
	all := []set{kube, own}
	for i, name := range []string{"kube-", "own-"} {
		sum, err := all[i].hash(module)
		if err != nil {
			return nil, err
		}
		all[i].dir = filepath.Join(home, "programs", name+sum)
	}
	return all, nil
}

// hash covers everything that affects the programs; test files do not.
func (s set) hash(module string) (string, error) {
	out, err := goCommand(module, "env", "GOVERSION", "GOARCH").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	h := sha256.New()
	fmt.Fprintln(h, string(out), BuildFlags, s.ldflags)
	for _, glob := range append([]string{"go.mod", "go.sum"}, s.sources...) {
		files, err := filepath.Glob(filepath.Join(module, glob))
		if err != nil {
			return "", err
		}
		if len(files) == 0 {
			return "", fmt.Errorf("no %s in %s", glob, module)
		}
		slices.Sort(files)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(h, filepath.Base(f), len(b))
			h.Write(b)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

func writeImages(dir string) error {
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o755); err != nil {
		return err
	}
	for ref, program := range Images {
		f, err := os.Create(filepath.Join(dir, "images", program+".tar"))
		if err != nil {
			return err
		}
		err = WriteImage(f, ref, filepath.Join(dir, program))
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// goCommand returns a command of the go tool in the module that ignores the
// caller's GOFLAGS and any go.work file.
func goCommand(module string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off")
	return cmd
}

// ModuleDir returns the folder of this module if the working directory is inside
// it, as with go run and go test.
func ModuleDir() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	b, err := os.ReadFile(mod)
	if err != nil || !bytes.HasPrefix(b, []byte("module "+modulePath+"\n")) {
		return "", fmt.Errorf(
			"the working directory is not inside the module %s (go.mod found: %q); try go -C test/cluster run ./cmd/hpacluster",
			modulePath,
			mod,
		)
	}
	return filepath.Dir(mod), nil
}

// Build builds the programs that do not exist yet, and returns their folders. It
// takes minutes if the Go build cache is cold, seconds if it is warm, and no time if
// the programs exist. Progress is written to log.
func Build(ctx context.Context, log io.Writer) (Programs, error) {
	module, err := ModuleDir()
	if err != nil {
		return Programs{}, err
	}
	home, err := Home()
	if err != nil {
		return Programs{}, err
	}
	all, err := sets(module, home)
	if err != nil {
		return Programs{}, err
	}
	unlock, err := lock(filepath.Join(home, "build.lock"))
	if err != nil {
		return Programs{}, err
	}
	defer unlock()
	for _, s := range all {
		if err := s.build(ctx, module, log); err != nil {
			return Programs{}, err
		}
		now := time.Now()
		_ = os.Chtimes(s.dir, now, now) // this affects only how long prune keeps it
	}
	prune(filepath.Join(home, "programs"), all, log)
	return Programs{Kube: all[0].dir, Own: all[1].dir}, nil
}

func (s set) build(ctx context.Context, module string, log io.Writer) error {
	if _, err := os.Stat(s.dir); err == nil {
		return nil
	}
	began := time.Now()
	fmt.Fprintf(log, "building %s (minutes when the Go build cache is cold)\n", filepath.Base(s.dir))
	tmp := s.dir + ".part"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	for folder, packages := range s.builds {
		out := filepath.Join(tmp, folder)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		args := append([]string{"build", "-ldflags", s.ldflags, "-o", out + string(filepath.Separator)}, BuildFlags...)
		if err := runNice(ctx, goCommand(module, append(args, packages...)...), log); err != nil {
			return fmt.Errorf("go build %s: %w", strings.Join(packages, " "), err)
		}
	}
	if err := s.finish(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.dir); err != nil {
		return err
	}
	fmt.Fprintf(log, "built %s in %.1f s\n", s.dir, time.Since(began).Seconds())
	return nil
}

// runNice runs cmd with a priority one step below the caller's, until ctx ends.
func runNice(ctx context.Context, cmd *exec.Cmd, log io.Writer) error {
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, 1) // best effort
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer stop()
	return errors.Join(cmd.Wait(), ctx.Err())
}

// prune removes programs of other versions that have not been used for two days.
// Each takes half a gigabyte.
func prune(dir string, keep []set, log io.Writer) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < 2*24*time.Hour ||
			slices.ContainsFunc(keep, func(s set) bool { return s.dir == p }) {
			continue
		}
		fmt.Fprintf(log, "removing %s, unused for two days\n", p)
		if err := os.RemoveAll(p); err != nil {
			fmt.Fprintln(log, err)
		}
	}
}
