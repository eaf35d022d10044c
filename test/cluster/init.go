//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Init runs as process 1 in the cluster's own pid, mount and network namespaces.
// It prepares them, starts the components, says "ready", and then watches the
// components. It returns only with an error. When its process ends, the kernel
// ends all others, including the pods, and the mounts, links and rules disappear
// with the namespaces.
//
// run is the cluster's folder with state.json. If owner is not nil, the cluster
// ends at the end of owner's data. owner is one end of a pipe, whose other end is
// closed even if the process that holds it is killed.
func Init(run string, owner io.Reader) error {
	s, err := readState(run)
	if err != nil {
		return err
	}
	if os.Getpid() != 1 {
		return errors.New("init must be process 1 of a new pid namespace; use up")
	}
	if err := s.mounts(); err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	v := newSupervisor(s)
	go v.reap()
	if owner != nil {
		go func() {
			_, _ = io.Copy(io.Discard, owner) // ends with the owner, however it ends
			v.leave()
		}()
	}
	if err := v.boot(); err != nil {
		return err
	}
	return v.serve()
}

// leave ends the cluster from inside, without a trace, if its owner was killed
// and nothing else would end it.
func (v *supervisor) leave() {
	fmt.Println("the process that owned this cluster has ended")
	v.mu.Lock()
	v.leaving = true
	v.mu.Unlock()
	_ = unix.Kill(-1, unix.SIGKILL) // everything in this pid namespace except for this process
	// The mounts of containerd and kubelet below the folder would keep it busy.
	if b, err := os.ReadFile("/proc/self/mountinfo"); err == nil {
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		for _, line := range slices.Backward(lines) {
			if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], v.s.Run+"/") {
				_ = unix.Unmount(f[4], unix.MNT_DETACH) // clear reports what is left
			}
		}
	}
	if err := v.s.clear(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// boot starts everything and waits for it: about four seconds until the node is
// ready, and then until metrics-server has scraped twice.
func (v *supervisor) boot() error {
	ctx, cancel := context.WithTimeout(context.Background(), v.s.Boot)
	defer cancel()
	a, err := newAPI(v.s)
	if err != nil {
		return err
	}
	start := func(names ...string) error {
		for _, n := range names {
			if err := v.start(n); err != nil {
				return err
			}
		}
		return nil
	}
	answers := func(path string) func() error {
		return func() error { _, err := a.do(ctx, "GET", path, nil); return err }
	}
	if err := start("etcd", "containerd", "kube-apiserver"); err != nil {
		return err
	}
	imported := make(chan error, 1)
	go func() { imported <- v.importAll(ctx) }() // while the API server starts
	if err := wait(ctx, "API server ready", answers("/readyz")); err != nil {
		return err
	}
	if err := start("kube-controller-manager", "kube-scheduler"); err != nil {
		return err
	}
	for _, file := range []string{"system.yaml", "metrics-endpoint.yaml"} {
		b, err := v.s.config(file)
		if err != nil {
			return err
		}
		if err := a.create(ctx, b); err != nil {
			return fmt.Errorf("config/%s: %w", file, err)
		}
	}
	if err := <-imported; err != nil {
		return err
	}
	if err := start("kubelet", "kube-proxy", "metrics-server"); err != nil {
		return err
	}
	if err := wait(ctx, "node ready", func() error {
		b, err := a.do(ctx, "GET", "/api/v1/nodes/"+NodeName, nil)
		if err == nil && !nodeReady(b) {
			err = errors.New("condition Ready is not True")
		}
		return err
	}); err != nil {
		return err
	}
	return wait(ctx, "metrics API ready", answers("/apis/metrics.k8s.io/v1beta1/nodes/"+NodeName))
}

// importAll imports the payload images once containerd listens.
func (v *supervisor) importAll(ctx context.Context) error {
	sock := v.s.path("containerd.sock")
	if err := wait(ctx, "containerd ready", func() error {
		c, err := net.Dial("unix", sock)
		if err == nil {
			c.Close()
		}
		return err
	}); err != nil {
		return err
	}
	tars, err := filepath.Glob(filepath.Join(v.s.Own, "images", "*.tar"))
	if err != nil {
		return err
	}
	for _, t := range tars {
		if err := v.importImage(t); err != nil {
			return err
		}
	}
	return nil
}

// wait calls ok five times a second until it returns no error or ctx ends.
func wait(ctx context.Context, what string, ok func() error) error {
	for {
		err := ok()
		if err == nil {
			fmt.Printf("%s %s\n", time.Now().Format("15:04:05.000"), what)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("timed out waiting for %s: %w", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// mounts makes the mount namespace private, so that what kubelet, containerd and
// CNI write to fixed paths does not reach the machine.
func (s state) mounts() error {
	type mount struct {
		source, target, fs string
		flags              uintptr
		data               string
	}
	list := []mount{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""}, // nothing from here reaches the machine
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"", "/", "", unix.MS_REC | unix.MS_SHARED, ""}, // shared inside this namespace only; kubelet requires it
		{"tmpfs", "/run", "tmpfs", 0, "mode=755"},       // shims: /run/containerd
		{"tmpfs", "/var/lib", "tmpfs", 0, "mode=755"},   // CNI: /var/lib/cni; kubelet's device plug-ins
		{"tmpfs", "/var/log", "tmpfs", 0, "mode=755"},   // kubelet: /var/log/containers
	}
	// kubelet would set these for the whole machine. It gets files of its own that
	// already have the values, so that the machine's are not changed.
	for name, value := range kubeletSysctls {
		f := s.path("sysctl", filepath.Base(name))
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		list = append(list, mount{f, "/proc/sys/" + name, "", unix.MS_BIND, ""})
	}
	for _, m := range list {
		if err := unix.Mount(m.source, m.target, m.fs, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

// kubeletSysctls are the machine-wide settings that kubelet requires, with their
// values (pkg/kubelet/cm, setupKernelTunables).
var kubeletSysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// network creates the node's address on a bridge of its own, and a route for the
// services: without a route, connect() fails before nftables can rewrite the
// address. Nothing leaves this namespace, and only sockets that are created in it
// can reach it.
func network() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("link lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("link lo: %w", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "node0" // a bridge, because not every kernel has the dummy device
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("bridge node0: %w", err)
	}
	addr, err := netlink.ParseAddr(NodeIP + "/24")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(bridge, addr); err != nil {
		return fmt.Errorf("address %s: %w", NodeIP, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("bridge node0: %w", err)
	}
	_, services, err := net.ParseCIDR(ServiceCIDR)
	if err != nil {
		return err
	}
	if err := netlink.RouteAdd(
		&netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: services, Scope: netlink.SCOPE_LINK},
	); err != nil {
		return fmt.Errorf("route %s: %w", ServiceCIDR, err)
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0o644) // of this network namespace only
}
