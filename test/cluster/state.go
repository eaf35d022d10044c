//go:build linux

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// state is the content of state.json in the cluster's folder. up writes it; init,
// exec and down read it.
type state struct {
	Name     string
	Run      string // the cluster's folder
	Bin      string // kubeall and the programs next to it
	Own      string // hpacluster, the payloads and their images
	KEDA     string // KEDA's programs and manifests; "" = it was never started
	RUNC     string
	Clocks   Clocks
	Boot     time.Duration // how long process 1 waits for everything to be ready
	Owned    bool          // ends with the process that started it
	InitPID  int
	InitFrom string            // start time of InitPID in clock ticks since boot; a reused pid has another
	CgroupV2 []string          // controllers that were enabled for the v2 root's children before; null under v1
	Sysctls  map[string]string // the machine's values before, for Traces
}

func (s state) path(elem ...string) string { return filepath.Join(append([]string{s.Run}, elem...)...) }

func (s state) pki(elem ...string) string { return s.path(append([]string{"pki"}, elem...)...) }

func readState(run string) (state, error) {
	b, err := os.ReadFile(filepath.Join(run, "state.json"))
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return state{}, fmt.Errorf("%s/state.json: %w", run, err)
	}
	return s, nil
}

func (s state) write() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp := s.path("state.json.tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.path("state.json"))
}

// alive reports whether the recorded process 1 is still running, and is the one
// that was started.
func (s state) alive() bool {
	from, ok := startTime(s.InitPID)
	return s.InitPID > 0 && ok && from == s.InitFrom
}

// startTime returns field 22 of /proc/PID/stat; ok is false if there is no such
// process or it is a zombie.
func startTime(pid int) (ticks string, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// The second field is the program's name in parentheses, which may contain anything.
	rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
	f := strings.Fields(rest)
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return "", false
	}
	return f[19], true
}

// lock locks path until the returned function is called, so that two builds, or an
// up and a down, do not run at the same time.
func lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
