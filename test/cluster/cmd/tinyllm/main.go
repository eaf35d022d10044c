// Tinyllm serves a small transformer with random weights through OpenAI's API; see
// package tinyllm. Every flag can also be set by an environment variable: TINYLLM_
// and the flag's name in capitals (TINYLLM_LOAD_DELAY=5s).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hpatune/hpatune/test/cluster/tinyllm"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal("tinyllm: ", err)
	}
}

func run(args []string) error {
	host, _ := os.Hostname()
	c := tinyllm.DefaultConfig()
	o := tinyllm.Options{Host: host}
	fs := flag.NewFlagSet("tinyllm", flag.ExitOnError)
	addr := fs.String("addr", "127.0.0.1:8000", "address to listen on; port 0 takes a free one, which is printed")
	drain := fs.Duration("drain", time.Second, "after SIGTERM, serve for this long before no more connections are taken")
	grace := fs.Duration("grace", 10*time.Second, "then wait this long for the requests inside")
	fs.StringVar(&o.Name, "model", "", "only model name that is served; empty takes any")
	fs.IntVar(&o.Slots, "slots", 4, "sequences in a batch")
	fs.IntVar(&o.Queue, "queue", 256, "requests that may wait before 429; -1 for none")
	fs.DurationVar(&o.LoadDelay, "load-delay", 0, "time from start to ready")
	fs.DurationVar(&o.LoadCPU, "load-cpu", 0, "CPU time to burn before ready")
	fs.IntVar(&c.Dim, "dim", c.Dim, "model width")
	fs.IntVar(&c.Hidden, "hidden", c.Hidden, "feed-forward width")
	fs.IntVar(&c.Layers, "layers", c.Layers, "transformer blocks")
	fs.IntVar(&c.Context, "context", c.Context, "longest prompt + answer, in tokens")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "seed of the weights")
	var bad []error
	fs.VisitAll(func(f *flag.Flag) { // the environment first, so that the command line overrides it
		name := "TINYLLM_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v, ok := os.LookupEnv(name); ok {
			if err := fs.Set(f.Name, v); err != nil {
				bad = append(bad, fmt.Errorf("%s=%q: %w", name, v, err))
			}
		}
	})
	if err := errors.Join(append(bad, fs.Parse(args))...); err != nil {
		return err
	}
	o.Model = c
	s, err := tinyllm.NewServer(o)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", ln.Addr())

	stop, done := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer done()
	engine, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(engine) })
	defer wg.Wait()
	defer end()
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	s.Drain()
	time.Sleep(*drain) // until the proxies have removed this pod
	ctx, cancel := context.WithTimeout(context.Background(), *grace)
	defer cancel()
	return srv.Shutdown(ctx)
}
