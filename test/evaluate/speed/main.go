// Command speed measures what `hpatune tune` costs on recordings of several lengths and
// rates: user and system CPU, which other work on the machine disturbs less than the
// clock, and the largest resident memory. The recordings are days of a synthetic
// cluster (package sim), written as run folders.
//
//	go run ./speed -program bin/hpatune -program old/hpatune -runs 1h/5,24h/5,1h/100,1h/5/llm
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/test/evaluate/sim"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// shape is how long a recording is, how much load it has, and what serves it.
type shape struct {
	text   string // as given: 24h/5, or 24h/5/llm
	span   time.Duration
	perSec float64 // mean
	llm    bool    // servers of language models, in place of slots
}

func main() {
	var programs []string
	flag.Func("program", "an hpatune to measure (repeatable)", func(s string) error {
		at, err := filepath.Abs(s)
		programs = append(programs, at)
		return err
	})
	runs := flag.String("runs", "1h/5,24h/5,1h/100", "recordings: how long, and requests a second on the average; "+
		"with /llm, of servers that work in iterations")
	dir := flag.String("dir", "", "where the recordings are kept (default: a temporary folder)")
	flag.Parse()
	if err := measure(os.Stdout, programs, *runs, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func measure(w io.Writer, programs []string, list, dir string) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "speed")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	fmt.Fprintln(w, "| recording | requests | program | CPU s (user + system) | wall s | max RSS MB |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for text := range strings.SplitSeq(list, ",") {
		s, err := parse(text)
		if err != nil {
			return err
		}
		at := filepath.Join(dir, strings.ReplaceAll(text, "/", "-"))
		n, err := s.record(at)
		if err != nil {
			return err
		}
		for _, p := range programs {
			if err := tune(w, s, n, at, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func parse(text string) (shape, error) {
	plain, llm := strings.CutSuffix(text, "/llm")
	span, rate, ok := strings.Cut(plain, "/")
	d, err := time.ParseDuration(span)
	perSec, err2 := strconv.ParseFloat(rate, 64)
	if !ok || err != nil || err2 != nil || d <= 0 || perSec <= 0 {
		return shape{}, fmt.Errorf("recording %q: want a length and a rate, as 24h/5 or 24h/5/llm", text)
	}
	return shape{text, d, perSec, llm}, nil
}

// manifest is the HPA of world.
const manifest = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: server}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: server}
  minReplicas: 2
  maxReplicas: 80
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}
`

// world serves 4.9 requests a second and pod: 8 slots of 1.65 s. Servers of language models
// serve 3.5: 32 sequences at 48 ms an iteration. The load swings by 60 % around its mean, three
// times in a recording.
func (s shape) world() sim.World {
	c := hpa.DefaultConfig(80)
	c.MinReplicas = 2
	c.Metrics[0].Target.Utilization = 60
	seconds := s.span.Seconds()
	w := sim.World{
		Name:     s.text,
		Balancer: sim.Random,
		Metric:   sim.DefaultPipeline(),
		Current:  c,
		Service: &sim.Slots{Slots: 8, PerBusy: 0.11,
			Work: sim.Work{First: 0.25, PerPrompt: 0.0002, PerToken: 0.015, Noise: 0.1}},
		Text: sim.Text{
			Prompt:       250,
			PromptSpread: 0.6,
			PromptMost:   2000,
			Output:       75,
			OutputSpread: 0.6,
			OutputMost:   500,
		},
		Pod:        sim.Pod{CPURequest: 1, MemoryBytes: 2 << 30, IdleCores: 0.02},
		Startup:    sim.Startup{Schedule: 0.6, Pull: 2, Start: 1.5, Load: 15, Spread: 0.12},
		Objectives: []sim.Objective{{Text: "ttft.p95 < 2s", Metric: "ttft", Quantile: 0.95, Limit: 2}},
		Initial:    max(2, int(s.perSec/5)),
		Load:       sim.Load{Stages: []sim.Stage{sim.Sine("waves", seconds, seconds/3, 0.4*s.perSec, 1.6*s.perSec)}},
	}
	if s.llm {
		w.Service = &sim.LLM{Alpha: 0.02, Beta: 0.0008, Gamma: 0.0001, Delta: 1e-7, Budget: 2048, Most: 32,
			BusyCores: 0.1, PerToken: 0.0007}
		w.Text.Prompt, w.Text.Output = 500, 120
		w.Pod.MemoryBytes, w.Pod.IdleCores = 8<<30, 0.03
		w.Objectives = []sim.Objective{{Text: "e2e.p95 < 12s", Metric: "e2e", Quantile: 0.95, Limit: 12}}
	}
	return w
}

// record writes one day as a run folder, unless it is there, and returns how many
// requests it has.
func (s shape) record(dir string) (int, error) {
	w := s.world()
	run := w.Run(sim.Options{Seed: 1, Config: w.Current, Record: true}).Run
	if _, err := os.Stat(dir); err == nil {
		return len(run.Requests), nil
	}
	meta := run.Meta
	meta.Run = ""
	log, err := store.Create(dir, meta, []byte("# "+s.text+"\n"))
	if err != nil {
		return 0, err
	}
	if err := log.File("hpa.yaml", []byte(manifest)); err != nil {
		return 0, err
	}
	emit(log, run.Pods)
	emit(log, run.Endpoints)
	emit(log, run.Syncs)
	emit(log, run.Samples)
	emit(log, run.Requests)
	return len(run.Requests), log.Close(meta)
}

func emit[R results.Record](log *store.Writer, records []R) {
	for i, r := range records {
		if i%1000 == 0 {
			log.Pace()
		}
		log.Emit(r)
	}
}

func tune(w io.Writer, s shape, n int, dir, program string) error {
	out, err := os.MkdirTemp("", "advice")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	c := exec.Command(program, "tune", dir, "--out", filepath.Join(out, "advice"))
	began := time.Now()
	text, err := c.CombinedOutput()
	if exit := c.ProcessState; exit == nil || exit.ExitCode() > 1 {
		return fmt.Errorf("%s: %w\n%s", program, err, text)
	}
	rss := 0.0
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		rss = float64(u.Maxrss) / 1024 // Linux counts in KiB …
		if runtime.GOOS == "darwin" {
			rss /= 1024 // … and macOS in bytes
		}
	}
	fmt.Fprintf(w, "| %s | %d | %s | %.1f | %.1f | %.0f |\n", s.text, n, program,
		(c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), time.Since(began).Seconds(), rss)
	return nil
}
