package main

import (
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/tuner"
)

// whatIfFlags are the flags of `tune` that say what to compare a recommendation with.
type whatIfFlags struct {
	prices []string // more price lists
	whatIf bool
}

func (f *whatIfFlags) bindWhatIf(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.prices, "other-price", nil, "")
	fl.BoolVar(&f.whatIf, "what-if", true, "")
}

// ask takes what is asked for beside a recommendation.
func (f *whatIfFlags) ask(o *tuner.Options) (err error) {
	o.WhatIf = f.whatIf
	o.OtherPrices, err = f.otherPrices(o.Price)
	return err
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
		p, err := readPrice(name)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
