// Command bench-loadgen runs the load generator's benchmarks and the same ones with
// vegeta, in one run on one machine, and prints both figures.
//
//	go run . [-bar B1,B2,…] [-o json] [-short]
//
// The machine is small and perhaps shared, so: opponents take turns in short
// rounds and medians are compared; client and server are pinned to different
// cores where taskset is there; a bare sleep loop says in each round what the
// machine itself can do, and where that is worse than 500 µs the pacing bar is
// inconclusive, not failed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A figure is one measured number with what it is held against.
type figure struct {
	Bar     string   `json:"bar"`
	What    string   `json:"what"`
	Unit    string   `json:"unit"`
	Ours    *float64 `json:"ours"`
	Peer    *float64 `json:"peer"`
	PeerIs  string   `json:"peer_is,omitempty"`
	Limit   string   `json:"limit"`
	Verdict string   `json:"verdict"` // pass, fail, inconclusive, info
	Note    string   `json:"note,omitempty"`
}

type bench struct {
	short   bool
	taskset bool
	vegeta  string // the program, for B3
	figures []figure
}

func (b *bench) add(f figure) {
	b.figures = append(b.figures, f)
	num := func(v *float64) string {
		if v == nil {
			return "—"
		}
		return fmt.Sprintf("%.4g", *v)
	}
	fmt.Fprintf(
		os.Stderr,
		"%-3s %-46s ours %-9s %s %-9s %-8s %-22s %s %s\n",
		f.Bar,
		f.What,
		num(f.Ours),
		f.PeerIs,
		num(f.Peer),
		f.Unit,
		f.Limit,
		f.Verdict,
		f.Note,
	)
}

func verdict(ok bool) string {
	if ok {
		return "pass"
	}
	return "fail"
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "role" {
		role(os.Args[2], os.Args[3:])
		return
	}
	bars := flag.String("bar", "B1,B2,B3,B4,B6,B7", "which bars")
	format := flag.String("o", "text", "text or json")
	short := flag.Bool("short", false, "smaller rounds: a look, not a verdict")
	flag.Parse()
	b := &bench{short: *short}
	_, err := exec.LookPath("taskset")
	b.taskset = err == nil && runtime.NumCPU() > 1
	if !b.taskset {
		fmt.Fprintln(os.Stderr, "no taskset or one core: client and server share their cores")
	}
	all := []struct {
		name string
		run  func(*bench) error
	}{{"B1", stalls}, {"B2", pacing}, {"B3", throughput}, {"B4", memory}, {"B6", spread}, {"B7", streams}}
	for _, bar := range all {
		if !slices.Contains(strings.Split(*bars, ","), bar.name) {
			continue
		}
		if err := bar.run(b); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", bar.name, err)
			os.Exit(1)
		}
	}
	if *format == "json" {
		out, err := json.MarshalIndent(
			map[string]any{
				"schema":  "hpatune.bench-loadgen/v1",
				"go":      runtime.Version(),
				"cpus":    runtime.NumCPU(),
				"figures": b.figures,
			},
			"",
			"  ",
		)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(string(out))
	}
	for _, f := range b.figures {
		if f.Verdict == "fail" {
			os.Exit(3)
		}
	}
}

// median sorts a copy.
func median(list []float64) float64 { return quantile(list, 0.5) }

func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(list))
	return s[min(len(s)-1, max(0, int(math.Ceil(q*float64(len(s))))-1))]
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// abs returns the absolute values.
func abs(list []float64) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = math.Abs(v)
	}
	return out
}
