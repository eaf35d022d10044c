//go:build linux

package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// In calls f on an operating-system thread that is in the cluster's network
// namespace. Sockets that f creates and processes that f starts stay in that
// namespace, whoever uses them later; goroutines that f starts are not in it.
func (c *Cluster) In(f func() error) error {
	if c.external {
		return f()
	}
	return inNetNS(fmt.Sprintf("/proc/%d/ns/net", c.state.InitPID), f)
}

// Dial connects to an address inside the cluster's network namespace. Use it as
// http.Transport.DialContext or as client-go's rest.Config.Dial. There is no DNS
// inside: addr is an IP address and a port.
func (c *Cluster) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var conn net.Conn
	err := c.In(func() (err error) {
		// For an IP address the dialer creates its socket on this thread.
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Start starts cmd in the cluster's network namespace, with KUBECONFIG added to
// its environment. Its files, process ids and users are the machine's. Call
// cmd.Wait as usual.
func (c *Cluster) Start(cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Environ(), "KUBECONFIG="+c.Kubeconfig())
	return c.In(cmd.Start)
}

// Run calls Start, and then cmd.Wait.
func (c *Cluster) Run(cmd *exec.Cmd) error {
	if err := c.Start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// Exec replaces this process by argv, in the cluster's network namespace. It
// returns only if that fails.
func (c *Cluster) Exec(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	env := append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	return c.In(func() error { return unix.Exec(path, argv, env) })
}

func inNetNS(path string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		there, err := os.Open(path)
		if err != nil {
			done <- fmt.Errorf("cluster's network namespace: %w", err)
			return
		}
		defer there.Close()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the cluster's network namespace: %w", err)
			return
		}
		err = f()
		// Back in its own namespace, the thread can serve other goroutines. If that
		// fails, it stays locked, and ends with this goroutine.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
