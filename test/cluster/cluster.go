//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cluster is a running cluster: one that Up started, one that was already
// running, or an external one.
type Cluster struct {
	state      state
	external   bool
	kubeconfig string   // of an external cluster
	owner      *os.File // the cluster runs while it is open; nil if no process owns it
}

// ErrDown means that no cluster of this name is running.
var ErrDown = errors.New("the cluster is down; try hpacluster up")

// External returns the cluster that a kubeconfig names, which this package did
// not start: Dial and Start use the ordinary network, Down does nothing, and the
// payload images must already be loaded.
func External(kubeconfig string) *Cluster {
	return &Cluster{external: true, kubeconfig: kubeconfig}
}

// Attach returns the running cluster of this name, or ErrDown.
func Attach() (*Cluster, error) {
	run, err := runDir()
	if err != nil {
		return nil, err
	}
	s, err := readState(run)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil || !s.alive() {
		return nil, ErrDown
	}
	return &Cluster{state: s}, nil
}

// Able returns why this machine cannot run a cluster, or nil. It does not notice
// problems that appear only in use (a kernel without nftables).
func Able() error {
	var errs []error
	if os.Geteuid() != 0 {
		return errors.New("not root")
	}
	for program, pkg := range map[string]string{"runc": "runc", "nft": "nftables", "mount": "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, fmt.Errorf("no %s; try apt-get install --no-install-recommends %s", program, pkg))
		}
	}
	probe := exec.Command("true")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if err := probe.Run(); err != nil {
		errs = append(errs, fmt.Errorf("no new namespaces: %w", err))
	}
	if dirs, err := machineCgroups.hierarchies(); err != nil {
		errs = append(errs, err)
	} else if err := unix.Access(dirs[0], unix.W_OK); err != nil {
		errs = append(errs, fmt.Errorf("cgroup %s is not writable: %w", dirs[0], err))
	}
	return errors.Join(errs...)
}

const namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET

// UpOptions are the options of Up.
type UpOptions struct {
	Clocks Clocks
	// Owned ties the cluster to this process: it ends when Down is called, and
	// whenever this process ends.
	Owned bool
	Log   io.Writer // progress; never nil
}

// Up builds missing programs, removes what a killed run left behind, and starts
// a cluster. It returns when the node is ready and the metrics API has values for
// it, 15 to 25 s later. An error contains the end of the log.
//
// It fails if a cluster of this name is already running: use Attach for that.
func Up(ctx context.Context, o UpOptions) (*Cluster, error) {
	if err := Able(); err != nil {
		return nil, fmt.Errorf("this machine cannot run a cluster: %w", err)
	}
	programs, err := Build(ctx, o.Log)
	if err != nil {
		return nil, err
	}
	run, err := runDir()
	if err != nil {
		return nil, err
	}
	if err := checkRunDir(run); err != nil {
		return nil, err
	}
	unlock, err := lock(run + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	began := time.Now()
	if old, err := readState(run); err == nil {
		if old.alive() {
			return nil, fmt.Errorf(
				"cluster %s is up already (pid %d); try hpacluster down, or another HPACLUSTER_NAME",
				old.Name,
				old.InitPID,
			)
		}
		if err := old.clear(); err != nil {
			return nil, fmt.Errorf("what an earlier run left: %w", err)
		}
	}
	name, err := Name()
	if err != nil {
		return nil, err
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return nil, err
	}
	boot := 3 * time.Minute
	if v := os.Getenv("HPACLUSTER_BOOT_TIMEOUT"); v != "" {
		if boot, err = time.ParseDuration(v); err != nil {
			return nil, fmt.Errorf("HPACLUSTER_BOOT_TIMEOUT: %w; try 10m", err)
		}
	}
	c := &Cluster{
		state: state{
			Name:    name,
			Run:     run,
			Bin:     programs.Kube,
			Own:     programs.Own,
			RUNC:    runc,
			Clocks:  o.Clocks,
			Owned:   o.Owned,
			Boot:    boot,
			Sysctls: machineSysctls(),
		},
	}
	if err := c.launch(o); err != nil {
		return nil, errors.Join(err, c.state.clear())
	}
	if err := c.awaitReady(ctx); err != nil {
		tail := tailOf(c.state.path("log", "init.log"), 15)
		return nil, errors.Join(fmt.Errorf("%w; log/init.log ends:\n%s", err, tail), c.down())
	}
	fmt.Fprintf(o.Log, "cluster %s is up after %.1f s\n", name, time.Since(began).Seconds())
	return c, nil
}

// launch prepares the folder and the cgroups, and starts process 1.
func (c *Cluster) launch(o UpOptions) error {
	s := &c.state
	if err := os.MkdirAll(s.path("log"), 0o755); err != nil {
		return err
	}
	if err := writePKI(s.pki()); err != nil {
		return err
	}
	if err := s.writeConfigs(); err != nil {
		return err
	}
	var err error
	s.CgroupV2, err = machineCgroups.create(s.Name)
	if werr := s.write(); werr != nil { // before anything else runs, so that down can undo it
		return errors.Join(err, werr)
	}
	if err != nil {
		return err
	}
	log, err := os.Create(s.path("log", "init.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.Own, "hpacluster"), "init", s.Run)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true}
	var mine, theirs *os.File
	if o.Owned {
		if theirs, mine, err = os.Pipe(); err != nil {
			return err
		}
		defer theirs.Close()
		cmd.ExtraFiles = []*os.File{theirs} // descriptor 3
		cmd.Args = append(cmd.Args, "owned")
	}
	if err := cmd.Start(); err != nil {
		if mine != nil {
			mine.Close()
		}
		return fmt.Errorf("start process 1: %w", err)
	}
	go func() { _ = cmd.Wait() }() // reaps it if it ends before this process
	c.owner = mine
	s.InitPID = cmd.Process.Pid
	s.InitFrom, _ = startTime(s.InitPID) // if it has already ended, alive() is false, and awaitReady reports it
	return s.write()
}

func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.state.Boot+time.Minute)
	defer cancel()
	for {
		if _, err := os.Stat(c.state.path("ready")); err == nil {
			return nil
		}
		if !c.state.alive() {
			return errors.New("the cluster's process 1 ended")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster is not ready: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Down stops the cluster and everything in it, and removes what it created. Its
// logs are kept next to its folder, as NAME.log/. It does nothing to an external
// cluster.
func (c *Cluster) Down() error {
	if c.external {
		return nil
	}
	unlock, err := lock(c.state.Run + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	return c.down()
}

func (c *Cluster) down() error {
	if c.owner != nil {
		defer c.owner.Close()
	}
	return c.state.clear()
}

// Down stops the cluster of this name if it is running, and always removes what
// is left of it.
func Down() error {
	run, err := runDir()
	if err != nil {
		return err
	}
	unlock, err := lock(run + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	s, err := readState(run)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.clear()
}

// clear kills the recorded process 1, and so its pid namespace, and then removes
// cgroups and files.
func (s state) clear() error {
	if s.alive() {
		if err := unix.Kill(s.InitPID, unix.SIGKILL); err != nil {
			return fmt.Errorf("kill process 1, pid %d: %w", s.InitPID, err)
		}
		for try := 0; s.alive(); try++ {
			if try == 150 {
				return fmt.Errorf("process 1, pid %d, does not end", s.InitPID)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	err := machineCgroups.remove(s.Name, s.CgroupV2)
	kept := s.Run + ".log"
	if rerr := os.RemoveAll(kept); rerr != nil {
		return errors.Join(err, rerr)
	}
	if rerr := os.Rename(s.path("log"), kept); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return errors.Join(err, rerr)
	}
	// The mounts were in the cluster's own namespace and disappeared with it, so
	// only plain files are left. A busy mount takes a moment to disappear.
	for try := 0; ; try++ {
		rerr := os.RemoveAll(s.Run)
		if rerr == nil || try == 20 {
			return errors.Join(err, rerr)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Kubeconfig returns the path of the administrator's kubeconfig. Its server,
// 127.0.0.1:6443, can be reached through Dial or by a program that Start started.
func (c *Cluster) Kubeconfig() string {
	if c.external {
		return c.kubeconfig
	}
	return c.state.pki("admin.kubeconfig")
}

// External reports whether this package did not start the cluster. Such a cluster
// has no fast clocks, no StopComponent and no Import, and has its own images.
func (c *Cluster) External() bool { return c.external }

// Owned reports whether the cluster ends with the process that started it, so
// that others cannot rely on it.
func (c *Cluster) Owned() bool { return c.state.Owned }

// Clocks returns the clocks that the cluster was started with; zero for an external one.
func (c *Cluster) Clocks() Clocks { return c.state.Clocks }

// LogDir returns the folder of the components' logs, NAME.log for each.
func (c *Cluster) LogDir() string { return c.state.path("log") }

// Programs returns where the cluster's programs and image archives are.
func (c *Cluster) Programs() Programs { return Programs{Kube: c.state.Bin, Own: c.state.Own} }

// Import loads an image from an OCI archive (or the output of docker save) into
// the node, for pods with imagePullPolicy Never or IfNotPresent.
func (c *Cluster) Import(ctx context.Context, archive string) error {
	if c.external {
		return errors.New("images of an external cluster are its owner's matter")
	}
	archive, err := filepath.Abs(archive)
	if err != nil {
		return err
	}
	return c.state.order(ctx, order{"import", archive})
}

// StopComponent kills one of etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, kube-proxy, kubelet, metrics-server, containerd, to test a
// fault. StartComponent starts it again with the same arguments and data.
func (c *Cluster) StopComponent(ctx context.Context, name string) error {
	return c.component(ctx, "stop", name)
}

// StartComponent starts a component that StopComponent stopped.
func (c *Cluster) StartComponent(ctx context.Context, name string) error {
	return c.component(ctx, "start", name)
}

func (c *Cluster) component(ctx context.Context, verb, name string) error {
	if c.external {
		return fmt.Errorf("%s %s: not in an external cluster", verb, name)
	}
	return c.state.order(ctx, order{verb, name})
}

func runDir() (string, error) {
	home, err := Home()
	if err != nil {
		return "", err
	}
	name, err := Name()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, "run", name), nil
}

// checkRunDir refuses folders that cannot work.
func checkRunDir(dir string) error {
	if n := len(dir) + len("/containerd.sock.ttrpc"); n > 107 { // sun_path
		return fmt.Errorf("%s: too long for a unix socket in it; try HPACLUSTER_DIR=/some/short/folder", dir)
	}
	for _, hidden := range []string{"/run/", "/var/lib/", "/var/log/", "/proc/", "/sys/"} {
		if strings.HasPrefix(dir, hidden) {
			return fmt.Errorf("%s: the cluster covers %s for itself; try HPACLUSTER_DIR=/some/other/folder", dir, hidden)
		}
	}
	return nil
}

func tailOf(file string, lines int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
