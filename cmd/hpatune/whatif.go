package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/tuner"
)

// whatIfFlags are the flags of `tune` that say what to compare a recommendation with.
type whatIfFlags struct {
	prices []string // more price lists
	whatIf bool

	nodes       int
	podsPerNode int
	nodeStartup time.Duration
	nodeIdle    time.Duration
	maxNodes    int
	nodesStated func(flag string) bool
}

func (f *whatIfFlags) bindWhatIf(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.prices, "other-price", nil, "")
	fl.BoolVar(&f.whatIf, "what-if", true, "")
	fl.IntVar(&f.nodes, "nodes", 0, "")
	fl.IntVar(&f.podsPerNode, "pods-per-node", 0, "")
	fl.DurationVar(&f.nodeStartup, "node-startup", 4*time.Minute, "")
	fl.DurationVar(&f.nodeIdle, "node-idle", 10*time.Minute, "")
	fl.IntVar(&f.maxNodes, "max-nodes", 0, "")
	f.nodesStated = fl.Changed
}

// ask takes what is asked for beside a recommendation.
func (f *whatIfFlags) ask(o *tuner.Options) (err error) {
	o.WhatIf, o.Fit.Signals = f.whatIf, f.whatIf
	if o.Nodes, err = f.nodesOf(); err != nil {
		return err
	}
	o.OtherPrices, err = f.otherPrices(o.Price)
	return err
}

// nodesOf is what was said of nodes; nil = nothing.
func (f *whatIfFlags) nodesOf() (*tuner.Nodes, error) {
	if f.nodesStated == nil || !f.nodesStated("nodes") {
		for _, flag := range []string{"pods-per-node", "node-startup", "node-idle", "max-nodes"} {
			if f.nodesStated != nil && f.nodesStated(flag) {
				return nil, usagef("--%s has no effect without --nodes\nTry: --nodes 2 --pods-per-node 4", flag)
			}
		}
		return nil, nil
	}
	switch {
	case f.nodes < 0:
		return nil, usagef("--nodes %d: want 0 or more", f.nodes)
	case f.podsPerNode > 10_000 || f.podsPerNode < 1 && f.nodesStated("pods-per-node"):
		return nil, usagef("--pods-per-node %d: want 1 to 10,000", f.podsPerNode)
	case f.podsPerNode < 1:
		return nil, usagef(
			"--nodes %d: how many pods a node takes is not known\nTry: --nodes %d --pods-per-node 4",
			f.nodes,
			f.nodes,
		)
	case f.nodeStartup < 0 || f.nodeIdle < 0:
		return nil, usagef("--node-startup %v, --node-idle %v: want no negative duration", f.nodeStartup, f.nodeIdle)
	case f.maxNodes < 0 || f.maxNodes == 0 && f.nodesStated("max-nodes") || f.maxNodes > 0 && f.maxNodes < max(1, f.nodes):
		return nil, usagef("--max-nodes %d: want 1 or more, and no fewer than --nodes %d", f.maxNodes, f.nodes)
	}
	return &tuner.Nodes{
		Kept:    f.nodes,
		PerNode: f.podsPerNode,
		Startup: f.nodeStartup,
		Idle:    f.nodeIdle,
		Most:    f.maxNodes,
	}, nil
}

// words are the flags that were given, as typed, folders left out.
func (f *whatIfFlags) words() string {
	c := ""
	if f.nodesStated != nil && f.nodesStated("nodes") {
		c += fmt.Sprintf(" --nodes %d --pods-per-node %d --node-startup %v --node-idle %v", f.nodes, f.podsPerNode,
			f.nodeStartup, f.nodeIdle)
		if f.maxNodes > 0 {
			c += fmt.Sprintf(" --max-nodes %d", f.maxNodes)
		}
	}
	for _, p := range f.prices {
		c += " --other-price " + filepath.Base(p)
	}
	return c
}

// otherPrices are the price lists that the what-if table compares with: those given,
// else the built-in ones.
func (f *whatIfFlags) otherPrices(present tuner.Price) ([]tuner.Price, error) {
	names := f.prices
	if len(names) == 0 {
		for _, name := range tuner.PriceNames() {
			if name != present.Name {
				names = append(names, name)
			}
		}
	}
	var out []tuner.Price
	for _, name := range names {
		p, err := readPrice("other-price", name)
		if err != nil {
			return nil, err
		}
		if p.Currency != present.Currency && len(f.prices) > 0 {
			return nil, usagef("--other-price %s: its prices are in %s, and --price is in %s; only one currency can be compared",
				name, p.Currency, present.Currency)
		}
		out = append(out, p)
	}
	return out, nil
}
