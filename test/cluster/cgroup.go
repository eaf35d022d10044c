//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups is the machine's control group tree, /sys/fs/cgroup: one hierarchy
// (v2), or a folder of hierarchies (v1, or v1 with a v2 that has no controllers).
type cgroups struct{ root string }

var machineCgroups = cgroups{"/sys/fs/cgroup"}

func (g cgroups) v2() bool {
	_, err := os.Stat(filepath.Join(g.root, "cgroup.controllers"))
	return err == nil
}

// hierarchies lists the folders in which a cluster's own group is created.
func (g cgroups) hierarchies() ([]string, error) {
	if g.v2() {
		return []string{g.root}, nil
	}
	files, err := filepath.Glob(filepath.Join(g.root, "*", "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no cgroup hierarchy is mounted there", g.root)
	}
	for i, f := range files {
		files[i] = filepath.Dir(f)
	}
	return files, nil
}

// wanted are the controllers that kubelet requires in its cgroup root under v2
// (pkg/kubelet/cm: cpu, cpuset, memory, pids; hugetlb if the kernel has it), and io.
var wanted = []string{"cpu", "cpuset", "memory", "pids", "hugetlb", "io"}

// create creates the group name in every hierarchy, for use as kubelet's
// cgroupRoot. Under v2 it enables the wanted controllers for the root's
// children, and returns those that were enabled before (not nil, even if there
// were none), for remove to restore.
func (g cgroups) create(name string) (before []string, err error) {
	dirs, err := g.hierarchies()
	if err != nil {
		return nil, err
	}
	if g.v2() {
		if before, err = g.enable(); err != nil {
			return before, err
		}
	}
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(d, name), 0o755); err != nil {
			return before, err
		}
		if g.v2() {
			continue
		}
		// A v1 cpuset accepts no process before it has processors and memory nodes.
		for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
			b, err := os.ReadFile(filepath.Join(d, f))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(d, name, f), b, 0o644)
			}
			if err != nil {
				return before, err
			}
		}
	}
	return before, nil
}

// enable enables the wanted controllers for the root's children, and returns
// those that were enabled before; nil only if they could not be read.
func (g cgroups) enable() (before []string, err error) {
	has, err := g.controllers("cgroup.controllers")
	if err != nil {
		return nil, err
	}
	if before, err = g.controllers("cgroup.subtree_control"); err != nil {
		return nil, err
	}
	for _, c := range wanted {
		if slices.Contains(before, c) {
			continue
		}
		if !slices.Contains(has, c) {
			if c == "hugetlb" || c == "io" {
				continue
			}
			return before, fmt.Errorf(
				"cgroup v2: controller %s is not in %s/cgroup.controllers (%s)",
				c,
				g.root,
				strings.Join(has, " "),
			)
		}
		if err := g.control("+" + c); err != nil {
			return before, fmt.Errorf(
				"cgroup v2: enable controller %s: %w; in a container, give it the host's cgroup namespace (--cgroupns=host) or move its processes to a child group",
				c,
				err,
			)
		}
	}
	return before, nil
}

// controllers reads a list of controllers; it is never nil without an error.
func (g cgroups) controllers(file string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(g.root, file))
	if err != nil {
		return nil, err
	}
	return append([]string{}, strings.Fields(string(b))...), nil
}

func (g cgroups) control(change string) error {
	f, err := os.OpenFile(
		filepath.Join(g.root, "cgroup.subtree_control"),
		os.O_WRONLY,
		0,
	) // neither created nor truncated: it is a file of the kernel
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(change)
	return err
}

// groups lists the folders of the group name that exist.
func (g cgroups) groups(name string) []string {
	var found []string
	for _, pattern := range []string{filepath.Join(g.root, name), filepath.Join(g.root, "*", name)} {
		m, _ := filepath.Glob(pattern) // fails only for a bad pattern, and Name has checked name
		for _, d := range m {
			if _, err := os.Stat(filepath.Join(d, "cgroup.procs")); err == nil {
				found = append(found, d)
			}
		}
	}
	return found
}

// remove removes the group name from every hierarchy, its children first. It
// waits a few seconds until the kernel has noticed that the processes are gone.
// Under v2 it then disables the controllers that were not enabled before: ours,
// and those that runc's library enabled too (rdma and misc have been seen).
func (g cgroups) remove(name string, before []string) error {
	var errs []error
	for _, d := range g.groups(name) {
		for try := 0; ; try++ {
			err := rmdirTree(d)
			if err == nil {
				break
			}
			if try == 20 {
				errs = append(errs, err)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if before != nil && g.v2() {
		now, err := g.controllers("cgroup.subtree_control")
		if err != nil {
			errs = append(errs, err)
		}
		for _, c := range now {
			if slices.Contains(before, c) {
				continue
			}
			if err := g.control("-" + c); err != nil {
				errs = append(errs, fmt.Errorf("cgroup v2: disable controller %s: %w", c, err))
			}
		}
	}
	return errors.Join(errs...)
}

// rmdirTree removes d and the folders in it, but never a file: a cgroup's files
// disappear with their folder, and a folder with real files is not a cgroup.
func rmdirTree(d string) error {
	entries, err := os.ReadDir(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := rmdirTree(filepath.Join(d, e.Name())); err != nil {
				return err
			}
		}
	}
	return unix.Rmdir(d)
}
