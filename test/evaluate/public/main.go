// Command public compares predictions with public measurements of real systems:
//
//	go run ./public -truth DIR
//
// DIR holds request logs of vLLM servers (*.requests.csv), each with its arrivals, token counts and
// times. The other two are stated here, with their sources. It exits with 1 if a bar is missed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// bar is one figure and its limit.
type bar struct {
	of, figure        string
	predicted, actual string
	want              string
	ok                *bool // nil: nothing is asked
}

func main() {
	truth := flag.String("truth", "", "folder of vLLM request logs, *.requests.csv; empty: leave them out")
	program := flag.String("program", "", "the product; empty: build it")
	flag.Parse()
	missed, err := run(os.Stdout, *truth, *program)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "public:", err)
		os.Exit(2)
	case missed > 0:
		fmt.Fprintf(os.Stderr, "public: %d bars are missed\n", missed)
		os.Exit(1)
	}
}

func run(w io.Writer, truth, program string) (missed int, err error) {
	var bars []bar
	if truth == "" {
		fmt.Fprintln(os.Stderr, "public: no request logs are judged; -truth DIR names them")
	} else {
		got, err := logs(truth, program)
		if err != nil {
			return 0, err
		}
		bars = append(bars, got...)
	}
	rests, err := vector()
	if err != nil {
		return 0, err
	}
	bars = append(append(bars, rests...), keda()...)
	fmt.Fprintln(w, "| of | figure | predicted | actual | asked | met |\n|---|---|---|---|---|---|")
	for _, b := range bars {
		met := "—"
		if b.ok != nil {
			met = "yes"
			if !*b.ok {
				met = "no"
				missed++
			}
		}
		fmt.Fprintln(w, "| "+strings.Join([]string{b.of, b.figure, b.predicted, b.actual, b.want, met}, " | ")+" |")
	}
	return missed, nil
}

func is(ok bool) *bool { return &ok }
