package scenario

import (
	"fmt"
	"math/big"
	"strings"
)

var suffixes = []struct {
	text string
	unit *big.Rat
}{
	{"Ki", big.NewRat(1<<10, 1)}, {"Mi", big.NewRat(1<<20, 1)}, {"Gi", big.NewRat(1<<30, 1)}, {"Ti", big.NewRat(1<<40, 1)},
	{"n", big.NewRat(1, 1e9)}, {"u", big.NewRat(1, 1e6)}, {"m", big.NewRat(1, 1e3)},
	{"k", big.NewRat(1e3, 1)}, {"M", big.NewRat(1e6, 1)}, {"G", big.NewRat(1e9, 1)}, {"T", big.NewRat(1e12, 1)},
}

// rational reads a number with a quantity's suffix: "1.5", "250m", "512Mi".
func rational(s string) (*big.Rat, error) {
	number, unit := s, big.NewRat(1, 1)
	for _, f := range suffixes {
		if rest, ok := strings.CutSuffix(s, f.text); ok {
			number, unit = rest, f.unit
			break
		}
	}
	if len(number) > 30 || strings.ContainsAny(number, "eE/_xXpP") {
		return nil, fmt.Errorf("quantity %q: not a number; try 100, 1.5, 250m or 512Mi", s)
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return nil, fmt.Errorf("quantity %q: not a number; try 100, 1.5, 250m or 512Mi", s)
	}
	return r.Mul(r, unit), nil
}

// milli reads a quantity as thousandths, rounded up as Kubernetes does.
func milli(s string) (int64, error) {
	r, err := rational(s)
	if err != nil {
		return 0, err
	}
	n := ceil(r.Mul(r, big.NewRat(1000, 1)))
	if !n.IsInt64() {
		return 0, fmt.Errorf("quantity %q: too large", s)
	}
	return n.Int64(), nil
}

func ceil(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// percentOf returns s percent of request, to the nearest thousandth.
func percentOf(s string, request int64) (int64, error) {
	r, err := rational(strings.TrimSuffix(s, "%"))
	if err != nil {
		return 0, err
	}
	r.Mul(r, new(big.Rat).SetFrac64(request, 100))
	n := ceil(r.Sub(r, big.NewRat(1, 2)))
	if !n.IsInt64() {
		return 0, fmt.Errorf("percent %q: too large", s)
	}
	return n.Int64(), nil
}
