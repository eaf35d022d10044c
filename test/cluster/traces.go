//go:build linux

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Traces lists what is left of the cluster on the machine. Call it after Down; an
// empty list means that nothing is left. Programs and saved logs in the cache do
// not count.
func (c *Cluster) Traces() []string {
	if c.external {
		return nil
	}
	s := c.state
	var left []string
	for _, d := range machineCgroups.groups(s.Name) {
		left = append(left, "cgroup "+d)
	}
	if _, err := os.Stat(s.Run); err == nil {
		left = append(left, "folder "+s.Run)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		left = append(left, "unknown mounts: "+err.Error())
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, s.Run+"/") {
			left = append(left, "mount "+strings.TrimSpace(line))
		}
	}
	// Every daemon has the cluster's folder in its arguments. The programs' folder
	// is no criterion, because another cluster may use the same one.
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		b, err := os.ReadFile(p)
		if err != nil {
			continue // it has ended
		}
		args := strings.ReplaceAll(string(b), "\x00", " ")
		if strings.Contains(args, s.Run+"/") || strings.Contains(args, s.Run+" ") {
			left = append(left, fmt.Sprintf("process %s: %.80s", filepath.Base(filepath.Dir(p)), args))
		}
	}
	now := machineSysctls()
	for name, was := range s.Sysctls {
		if now[name] != was {
			left = append(left, fmt.Sprintf("sysctl %s is %s, was %s", name, now[name], was))
		}
	}
	return left
}

func machineSysctls() map[string]string {
	values := map[string]string{}
	for name := range kubeletSysctls {
		b, _ := os.ReadFile("/proc/sys/" + name) // unreadable before and after counts as unchanged
		values[name] = strings.TrimSpace(string(b))
	}
	return values
}
