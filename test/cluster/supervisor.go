//go:build linux

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"
)

// supervisor starts the components, and reaps every process of the pid namespace,
// including orphans, as process 1 must.
//
// If a component ends by itself before the cluster is ready, the cluster ends.
// Later, it is started again after a second, as an init system would do. For
// example, metrics-server exits if it starts while the API server is unavailable.
type supervisor struct {
	s  state
	mu sync.Mutex // held from fork to registration, so that reap knows every child
	// By process id. A process that is not in this map is an orphan.
	running  map[int]*process
	ready    bool
	leaving  bool // everything is being stopped
	restarts map[string]int
}

// maxRestarts is how often one component may be restarted. After that the cluster
// ends instead of continuing broken.
const maxRestarts = 30

// process is a child of the supervisor.
type process struct {
	name    string
	stopped bool // stopped on request, so its end is not a failure
	done    chan syscall.WaitStatus
}

func newSupervisor(s state) *supervisor {
	return &supervisor{s: s, running: map[int]*process{}, restarts: map[string]int{}}
}

// spawn starts argv with its output in log/NAME.log.
func (v *supervisor) spawn(name string, argv []string, oneShot bool) (*process, error) {
	log, err := os.OpenFile(v.s.path("log", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.leaving {
		return nil, fmt.Errorf("start %s: the cluster ends", name)
	}
	// Not os/exec: its Wait and reap would compete for the same children.
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), log.Fd(), log.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, stopped: oneShot, done: make(chan syscall.WaitStatus, 1)}
	v.running[pid] = p
	fmt.Printf("%s started %s, pid %d of the cluster's pid namespace\n", time.Now().Format("15:04:05.000"), name, pid)
	return p, nil
}

// start starts a component.
func (v *supervisor) start(name string) error {
	if v.find(name) != 0 {
		return fmt.Errorf("%s is running", name)
	}
	_, err := v.spawn(name, v.s.command(name), false)
	return err
}

func (v *supervisor) find(name string) (pid int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for pid, p := range v.running {
		if p.name == name {
			return pid
		}
	}
	return 0
}

// stop kills a component and waits until it has ended, to test what happens without it.
func (v *supervisor) stop(name string) error {
	pid := v.find(name)
	if pid == 0 {
		return fmt.Errorf("%s is not running", name)
	}
	v.mu.Lock()
	p := v.running[pid]
	if p == nil {
		v.mu.Unlock()
		return fmt.Errorf("%s has just ended", name)
	}
	p.stopped = true
	err := syscall.Kill(pid, syscall.SIGKILL)
	v.mu.Unlock()
	if err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	<-p.done
	return nil
}

// importImage imports an OCI archive into containerd, for pods to use.
func (v *supervisor) importImage(path string) error {
	ctr := filepath.Join(v.s.Bin, "ctr")
	p, err := v.spawn(
		"ctr",
		[]string{ctr, "--address", v.s.path("containerd.sock"), "-n", "k8s.io", "images", "import", "--local", path},
		true,
	)
	if err != nil {
		return err
	}
	if ws := <-p.done; ws.ExitStatus() != 0 {
		return fmt.Errorf("import %s: exit status %d; see log/ctr.log", path, ws.ExitStatus())
	}
	return nil
}

// reap waits for children, and never returns.
func (v *supervisor) reap() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	for ; ; <-died {
		for {
			var ws syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err != nil || pid <= 0 {
				break
			}
			v.ended(pid, ws)
		}
	}
}

func (v *supervisor) ended(pid int, ws syscall.WaitStatus) {
	v.mu.Lock()
	p := v.running[pid]
	delete(v.running, pid)
	leaving := v.leaving
	v.mu.Unlock()
	if p == nil || leaving {
		return // an orphan, for example a child of a shim
	}
	if p.stopped {
		p.done <- ws
		return
	}
	fmt.Printf("%s %s ended by itself (exit status %d, signal %d); see log/%s.log\n",
		time.Now().Format("15:04:05.000"), p.name, ws.ExitStatus(), ws.Signal(), p.name)
	v.mu.Lock()
	v.restarts[p.name]++
	again := v.ready && v.restarts[p.name] <= maxRestarts
	v.mu.Unlock()
	if !again {
		fmt.Println("the cluster ends")
		os.Exit(1)
	}
	time.AfterFunc(time.Second, func() {
		if err := v.start(p.name); err != nil {
			fmt.Println(err) // another caller was faster
		}
	})
}

// order is a request on control.sock: one JSON object per connection, answered by
// another.
type order struct {
	Verb string // start, stop, import, keda
	Arg  string
}

type reply struct{ Error string }

// serve says that the cluster is ready, and serves requests until the process ends.
func (v *supervisor) serve() error {
	v.mu.Lock()
	v.ready = true
	v.mu.Unlock()
	ln, err := net.Listen("unix", v.s.path("control.sock"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(v.s.path("ready"), nil, 0o644); err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			var o order
			err := json.NewDecoder(c).Decode(&o)
			if err == nil {
				switch o.Verb {
				case "start":
					err = v.start(o.Arg)
				case "stop":
					err = v.stop(o.Arg)
				case "import":
					err = v.importImage(o.Arg)
				case "keda":
					err = v.startKEDA(o.Arg)
				default:
					err = fmt.Errorf("unknown order %q", o.Verb)
				}
			}
			var r reply
			if err != nil {
				r.Error = err.Error()
			}
			_ = json.NewEncoder(c).Encode(r) // a caller who has disconnected needs no answer
		}()
	}
}

// order sends one request to the running cluster, and waits for the answer.
func (s state) order(ctx context.Context, o order) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", s.path("control.sock"))
	if err != nil {
		return fmt.Errorf("cluster %s: %w", s.Name, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if err := json.NewEncoder(c).Encode(o); err != nil {
		return err
	}
	var r reply
	if err := json.NewDecoder(c).Decode(&r); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// nodeReady reports whether a Node, in JSON, is ready.
func nodeReady(b []byte) bool {
	var n struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if yaml.Unmarshal(b, &n) != nil {
		return false
	}
	for _, c := range n.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}
