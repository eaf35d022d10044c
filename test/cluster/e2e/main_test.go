//go:build linux

// Package e2e runs the product against a real Kubernetes cluster: the one of package cluster, or
// the one that KUBECONFIG names. The whole package shares one cluster, and each test has a
// namespace. The module's README.md says how to write a test.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

// suite is what every test gets from need.
type suite struct {
	c      *cluster.Cluster
	config *rest.Config // reaches the API server from outside the cluster's network namespace
	kube   kubernetes.Interface
	dyn    dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

var (
	full   = flag.Bool("full", false, "also the tests of minutes: pairs, profiles, faults, KEDA")
	update = flag.Bool("update", false, "write the golden files that the cluster decides: KEDA's HPAs")
)

var (
	shared     *suite
	skipReason string // why there is no cluster
)

// required reports whether a skip is a failure: in CI it is.
func required() bool { return os.Getenv("HPATUNE_E2E") == "required" }

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, ours, err := open(ctx)
	var skip skipError
	switch {
	case errors.As(err, &skip) && !required():
		skipReason = skip.Error()
		return m.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if ours {
		defer func() {
			if err := c.Down(); err != nil {
				fmt.Fprintln(os.Stderr, "e2e: down:", err)
				code = 1
			}
			for _, left := range c.Traces() {
				fmt.Fprintln(os.Stderr, "e2e: left behind:", left)
				code = 1
			}
		}()
		// A signal ends this process without the defers above. The process owns the cluster, which
		// ends with it. The next start removes the files that are left.
		forget := context.AfterFunc(ctx, func() { _ = c.Down(); os.Exit(130) })
		defer forget() // before stop above ends ctx, which is no signal
	}
	if shared, err = connect(c); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() {
		if hpatuneDir != "" {
			_ = os.RemoveAll(hpatuneDir)
		}
	}()
	return m.Run()
}

// skipError is a reason to skip that is not a failure.
type skipError struct{ error }

// open finds or starts the cluster; ours means that we must stop it.
func open(ctx context.Context) (c *cluster.Cluster, ours bool, err error) {
	if k := os.Getenv("KUBECONFIG"); k != "" {
		return cluster.External(k), false, nil
	}
	if c, err := cluster.Attach(); err == nil {
		if c.Owned() {
			return nil, false, errors.New("another test run has the cluster; wait for it, or set another HPACLUSTER_NAME")
		}
		fmt.Fprintln(os.Stderr, "e2e: using the cluster that is up:", c.Kubeconfig())
		return c, false, nil
	}
	if err := cluster.Able(); err != nil {
		return nil, false, skipError{fmt.Errorf("this machine cannot run a cluster: %w; KUBECONFIG=… uses another", err)}
	}
	clocks, err := cluster.FastClocks().FromEnv(os.Getenv)
	if err != nil {
		return nil, false, err
	}
	c, err = cluster.Up(ctx, cluster.UpOptions{Clocks: clocks, Owned: true, Log: os.Stderr})
	return c, true, err
}

func connect(c *cluster.Cluster) (*suite, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, err
	}
	config.Dial = c.Dial
	config.QPS, config.Burst = 50, 100
	config.WarningHandler = rest.NoWarnings{}
	s := &suite{c: c, config: config}
	if s.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if s.dyn, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(s.kube.Discovery()))
	return s, nil
}

// need returns the suite, or skips the test with the reason why there is none.
func need(t *testing.T) *suite {
	t.Helper()
	if shared == nil {
		t.Skip(skipReason)
	}
	return shared
}

// needOurs is need for tests that only our own cluster can serve: faults,
// image import, fast clocks.
func needOurs(t *testing.T) *suite {
	t.Helper()
	s := need(t)
	if s.c.External() {
		t.Skip("not in an external cluster")
	}
	return s
}

// needFull is needOurs for tests of minutes, which only -full runs.
func needFull(t *testing.T) *suite {
	t.Helper()
	if !*full {
		t.Skip("minutes of real time: only with -full")
	}
	return needOurs(t)
}

// patience is how long something may take that takes fast with our clocks: an external cluster has
// Kubernetes' own clocks.
func (s *suite) patience(fast time.Duration) time.Duration {
	if s.c.External() || s.c.Clocks() != cluster.FastClocks() {
		return max(5*fast, 12*time.Minute)
	}
	return fast
}

// eventually asks ok twice a second until it returns nil; it fails the test
// with ok's last error after limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		err := ok(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s: %v", limit, what, err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// say writes a line with the time of day. A test that takes minutes is silent otherwise, and its
// log can be compared with those of the components.
func say(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("%s %s", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

func readAll(r io.ReadCloser) (string, error) {
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}
