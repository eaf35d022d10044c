//go:build linux

// Hpacluster builds, starts and ends a real one-node Kubernetes cluster; see
// the README of its module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	cluster "github.com/hpatune/hpatune/test/cluster"
)

const usage = `usage: go -C test/cluster run ./cmd/hpacluster COMMAND

  build              build all programs and images (8 minutes when the Go build cache is cold)
  up [-fast]         build, and start the cluster (as root); -fast: clocks for tests
  exec -- CMD...     run CMD in the cluster's network namespace, with KUBECONFIG set
  status             say whether it is up and where its files are; exit 1 when it is down
  stop NAME          kill a component (kube-apiserver, metrics-server, ...): a fault
  start NAME         start it again
  keda               build KEDA (12 minutes when the Go build cache is cold), and start it in the cluster
  import FILE.tar    make an image of an OCI archive known to the node
  down               end it and remove all that it made
  test [-- ARGS]     build, then run the end-to-end tests with ARGS for go test

environment: HPACLUSTER_DIR, HPACLUSTER_NAME, and the clocks HPA_SYNC, HPA_CPU_INIT,
HPA_READY_DELAY, HPA_DOWN_STABLE, METRIC_RESOLUTION, HOUSEKEEPING (durations)
`

func main() {
	// As process 1 it must not hear the terminal's interrupts: up set it apart.
	if len(os.Args) >= 3 && os.Args[1] == "init" {
		fmt.Fprintln(os.Stderr, "hpacluster init:", runInit(os.Args[2:]))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hpacluster:", err)
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		os.Exit(1)
	}
}

func runInit(args []string) error {
	var owner *os.File
	if len(args) == 2 && args[1] == "owned" {
		syscall.CloseOnExec(3) // the components must not hold the pipe
		owner = os.NewFile(3, "owner")
		return cluster.Init(args[0], owner)
	}
	return cluster.Init(args[0], nil)
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("a command is missing")
	}
	verb, args := args[0], args[1:]
	switch verb {
	case "build":
		p, err := cluster.Build(ctx, os.Stderr)
		if err == nil {
			fmt.Printf("%s\n%s\n", p.Kube, p.Own)
		}
		return err
	case "up":
		return up(ctx, args)
	case "down":
		if err := cluster.Down(); err != nil {
			return err
		}
		fmt.Println("down")
		return nil
	case "test":
		return test(ctx, args)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	c, err := cluster.Attach()
	if err != nil {
		return err
	}
	one := func() (string, error) {
		if len(args) != 1 {
			return "", fmt.Errorf("%s: want one argument, got %d", verb, len(args))
		}
		return args[0], nil
	}
	switch verb {
	case "exec":
		if len(args) > 0 && args[0] == "--" {
			args = args[1:]
		}
		if len(args) == 0 {
			return errors.New("exec: a program is missing; try exec -- kubectl get nodes")
		}
		return c.Exec(args)
	case "status":
		fmt.Printf(
			"up\nKUBECONFIG=%s\nlogs: %s\nprograms: %s\n          %s\n",
			c.Kubeconfig(),
			c.LogDir(),
			c.Programs().Kube,
			c.Programs().Own,
		)
		return nil
	case "keda":
		programs, err := cluster.BuildKEDA(ctx, os.Stderr)
		if err != nil {
			return err
		}
		return c.StartKEDA(ctx, programs)
	case "stop", "start", "import":
		arg, err := one()
		if err != nil {
			return err
		}
		return map[string]func(context.Context, string) error{
			"stop": c.StopComponent, "start": c.StartComponent, "import": c.Import}[verb](ctx, arg)
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("unknown command %q", verb)
}

func up(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("up", flag.ExitOnError)
	fast := fs.Bool("fast", false, "clocks for tests; the environment's come on top")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if c, err := cluster.Attach(); err == nil {
		fmt.Printf("already up\nKUBECONFIG=%s\n", c.Kubeconfig())
		return nil
	}
	clocks := cluster.DefaultClocks()
	if *fast {
		clocks = cluster.FastClocks()
	}
	clocks, err := clocks.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	c, err := cluster.Up(ctx, cluster.UpOptions{Clocks: clocks, Log: os.Stderr})
	if err != nil {
		return err
	}
	fmt.Printf("KUBECONFIG=%s (127.0.0.1:6443 of its own network namespace: use exec)\n", c.Kubeconfig())
	return nil
}

// test builds first, so that the compile of minutes is not inside a test's
// timeout, then runs the end-to-end tests with the flags that find all
// packages compiled.
func test(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	module, err := cluster.ModuleDir()
	if err != nil {
		return err
	}
	if os.Getenv("KUBECONFIG") == "" {
		if _, err := cluster.Build(ctx, os.Stderr); err != nil {
			return err
		}
		if slices.Contains(args, "-full") {
			if _, err := cluster.BuildKEDA(ctx, os.Stderr); err != nil {
				return err
			}
		}
	}
	cmd := exec.CommandContext(
		ctx,
		"go",
		append(
			append([]string{"test", "-count=1", "-timeout=40m"}, cluster.BuildFlags...),
			append([]string{"./e2e"}, args...)...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir, cmd.Stdout, cmd.Stderr = module, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	for i, e := range cmd.Env {
		if strings.HasPrefix(e, "GOFLAGS=") {
			cmd.Env[i] = "GOFLAGS="
		}
	}
	fmt.Fprintln(os.Stderr, filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "))
	return cmd.Run()
}
