package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// throughput is bar B3: requests a second with everything recorded to the run
// folder, one pinned core, against vegeta's program writing its own file.
func throughput(b *bench) error {
	dir, err := os.MkdirTemp("", "bench-loadgen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if b.vegeta = filepath.Join(dir, "vegeta"); true {
		build := exec.Command("go", "build", "-o", b.vegeta, "github.com/tsenart/vegeta/v12")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building vegeta: %w", err)
		}
	}
	url, stop, err := b.server("plain")
	if err != nil {
		return err
	}
	defer stop()
	pairs, secs := 9, "4"
	if b.short {
		pairs, secs = 3, "2"
	}
	ours := func() (float64, error) {
		out, err := b.pinned(0, self(), "role", "closed", url, "16", secs, filepath.Join(dir, "run")).Output()
		os.RemoveAll(filepath.Join(dir, "run"))
		return rate(out, err)
	}
	theirs := func() (float64, error) {
		file := filepath.Join(dir, "out.bin")
		cmd := b.pinned(
			0,
			b.vegeta,
			"attack",
			"-rate=0",
			"-max-workers=16",
			"-workers=16",
			"-duration="+secs+"s",
			"-output",
			file,
		)
		cmd.Stdin = strings.NewReader("GET " + url + "\n")
		cmd.Stderr = os.Stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, err
		}
		took := time.Since(began).Seconds()
		// Its own report counts, outside of the time.
		out, err := exec.Command(b.vegeta, "report", "-type=json", file).Output()
		if err != nil {
			return 0, err
		}
		var m struct {
			Requests float64 `json:"requests"`
			Duration float64 `json:"duration"` // ns
		}
		if err := json.Unmarshal(out, &m); err != nil {
			return 0, err
		}
		return m.Requests / min(took, m.Duration/1e9), nil
	}
	var ratios, a, p []float64
	for i := range pairs {
		order := []func() (float64, error){ours, theirs}
		var got [2]float64
		for k := range 2 {
			j := (k + i) % 2 // who goes first alternates
			v, err := order[j]()
			if err != nil {
				return err
			}
			got[j] = v
		}
		a, p, ratios = append(a, got[0]), append(p, got[1]), append(ratios, got[0]/got[1])
	}
	lo := bootstrap(ratios)
	b.add(
		figure{
			"B3",
			"requests/s with everything recorded, one core",
			"1/s",
			new(median(a)),
			new(median(p)),
			"vegeta attack",
			"",
			"info",
			fmt.Sprintf("%d pairs", pairs),
		},
	)
	b.add(
		figure{
			"B3",
			"ratio, median of pairs",
			"×",
			new(median(ratios)),
			nil,
			"",
			"≥ 1.15",
			verdict(median(ratios) >= 1.15),
			"",
		},
	)
	b.add(figure{"B3", "ratio, lower end of its 90 % interval", "×", &lo, nil, "", "≥ 1.10", verdict(lo >= 1.10), ""})
	return nil
}

func self() string {
	s, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return s
}

func rate(out []byte, err error) (float64, error) {
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// bootstrap returns the 5 % quantile of the median under resampling, seeded.
func bootstrap(list []float64) float64 {
	r := rand.New(rand.NewPCG(1, 1))
	var meds []float64
	for range 2000 {
		s := make([]float64, len(list))
		for i := range s {
			s[i] = list[r.IntN(len(list))]
		}
		meds = append(meds, median(s))
	}
	return quantile(meds, 0.05)
}

// streams is bar B7's second half: answers a second at 200 events each, metered
// and raw, in turns. The first half, ns an event, is BenchmarkStream.
func streams(b *bench) error {
	url, stop, err := b.server("stream")
	if err != nil {
		return err
	}
	defer stop()
	rounds, secs := 5, "3"
	if b.short {
		rounds, secs = 2, "2"
	}
	var metered, raw []float64
	for range rounds {
		for _, k := range []struct {
			role string
			to   *[]float64
		}{{"metered", &metered}, {"raw", &raw}} {
			v, err := rate(b.pinned(0, self(), "role", k.role, url, "16", secs).Output())
			if err != nil {
				return err
			}
			*k.to = append(*k.to, v)
		}
	}
	b.add(
		figure{
			"B7",
			"answers/s at 200 events, metered and recorded",
			"1/s",
			new(median(metered)),
			new(median(raw)),
			"raw reads",
			"",
			"info",
			fmt.Sprintf("%.0f events/s", 200*median(metered)),
		},
	)
	return nil
}
