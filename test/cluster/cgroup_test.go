//go:build linux

package cluster

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// tree writes files into a new folder that replaces /sys/fs/cgroup. So the choice of folders and
// controllers is tested without a machine of each kind; the end-to-end test checks that the kernel
// accepts it.
func tree(t *testing.T, files map[string]string) cgroups {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cgroups{root}
}

func TestV1GroupIsMadeInEveryHierarchyWithItsCpuset(t *testing.T) {
	g := tree(t, map[string]string{
		"cpu/cgroup.procs": "", "memory/cgroup.procs": "", "unified/cgroup.procs": "",
		"cpuset/cgroup.procs": "", "cpuset/cpuset.cpus": "0-1\n", "cpuset/cpuset.mems": "0\n",
		"notes/readme": "no hierarchy",
	})
	before, err := g.create("x")
	if err != nil || before != nil {
		t.Fatalf("create = %v, %v, want no controllers to restore under v1", before, err)
	}
	for _, d := range []string{"cpu/x", "memory/x", "unified/x", "cpuset/x"} {
		if _, err := os.Stat(filepath.Join(g.root, d)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(g.root, "notes/x")); err == nil {
		t.Error("a group was made in a folder that is no hierarchy")
	}
	if b, _ := os.ReadFile(filepath.Join(g.root, "cpuset/x/cpuset.cpus")); string(b) != "0-1\n" {
		t.Errorf("cpuset.cpus = %q, want the root's", b)
	}
}

func TestV2RemembersWhatWasOnAndSaysWhatIsMissing(t *testing.T) {
	g := tree(t, map[string]string{"cgroup.controllers": "cpuset cpu io memory pids misc", "cgroup.subtree_control": "cpu memory pids"})
	before, err := g.create("x")
	if want := []string{"cpu", "memory", "pids"}; err != nil || !reflect.DeepEqual(before, want) {
		t.Errorf("create = %v, %v, want what was on before, %v", before, err, want)
	}
	if _, err := os.Stat(filepath.Join(g.root, "x")); err != nil {
		t.Error(err)
	}
	g = tree(t, map[string]string{"cgroup.controllers": "cpu io", "cgroup.subtree_control": ""})
	if _, err := g.create("x"); err == nil || !strings.Contains(err.Error(), "controller cpuset is not in") {
		t.Errorf("create without cpuset: %v, want it named", err)
	}
}

func TestV2RestoresWhatWasOffAndLeavesTheRest(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before []string
		want   string // the last command written to the file, which replaces the kernel's and keeps no state
	}{
		{"one that somebody turned on since", []string{"cpu"}, "-rdma"},
		{"nothing when all were on before", []string{"cpu", "rdma"}, "cpu rdma"},
		{"nothing when what was before is unknown", nil, "cpu rdma"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := tree(t, map[string]string{"cgroup.controllers": "cpu rdma", "cgroup.subtree_control": "cpu rdma"})
			if err := g.remove("x", tt.before); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(g.root, "cgroup.subtree_control"))
			if err != nil || !strings.HasPrefix(string(b), tt.want) {
				t.Errorf("subtree_control = %q, %v, want %q first", b, err, tt.want)
			}
		})
	}
}

func TestRemoveTakesNestedGroupsAndNoFiles(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "x/kubepods/burstable/pod1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := rmdirTree(filepath.Join(root, "x")); err != nil {
		t.Error(err)
	}
	g := tree(t, map[string]string{"y/file": "precious"})
	if err := rmdirTree(filepath.Join(g.root, "y")); err == nil {
		t.Error("a folder with a file in it was removed")
	}
}
