// Pairtable judges kept pairs (HPATUNE_PAIRS_KEEP of the end-to-end tests) with a
// build of the product, and prints the table of predicted against actual. It
// needs no cluster.
//
//	go -C test/cluster run ./cmd/pairtable -hpatune bin/hpatune /tmp/pairs/*
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/hpatune/hpatune/test/cluster/pairs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pairtable:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("pairtable", flag.ExitOnError)
	program := fs.String("hpatune", "hpatune", "the program to judge with")
	quick := fs.Bool("quick", false, "tune only the first run of a pair: no self-replay and no shadow of the others")
	asJSON := fs.Bool("json", false, "print JSON instead of Markdown")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("a folder of a pair is missing; try /tmp/pairs/*")
	}
	var results []*pairs.Result
	for _, dir := range fs.Args() {
		r, err := pairs.Judge(ctx, pairs.Program(*program), dir, *quick)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		results = append(results, r)
	}
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	fmt.Print(pairs.Table(results))
	return nil
}
