package tuner

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// slowStart is fifty minutes of a service whose pods take `start` to start, with one core
// each. Its load climbs for five minutes, which a fast autoscaler can follow.
func slowStart(t *testing.T, start time.Duration) *bench {
	t.Helper()
	bins := make([]float64, 3000)
	for i := range bins {
		bins[i] = 0.5 + 14.5*max(0, min(1, float64(i-300)/300, float64(900-i)/60))
	}
	w, err := replay.New(replay.World{
		Demand:  replay.Demand{Bins: bins, CV2: 1},
		Service: plant.SlotsLaw(4, []plant.ServiceTime{{First: 0.6, Total: 0.8, Tokens: 10}, {First: 0.9, Total: 1.2, Tokens: 12}}),
		Start:   []plant.PhaseSample{{Schedule: time.Second, Pull: start / 2, Ready: start / 2}},
		Pipes: []plant.Pipe{{Name: "cpu", Base: 0.02, PerRunning: 0.2, Ceiling: 1, Every: 15 * time.Second,
			Window: 15 * time.Second, Delay: 5 * time.Second}},
		Limits:     plant.Limits{E2E: 4 * time.Second},
		Replicas:   2,
		Containers: []hpa.Container{{Name: "app", CPU: 1000, HasCPU: true}},
		Seed:       1,
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := results.ParseObjectives([]string{"e2e.p95 < 4s"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{world: w, seed: 1, goals: newGoals(list), price: DefaultPrice(), replica: Replica{CPUCores: 1, MemoryGB: 2},
		stands: new(sync.Map)}
	b.space.Start = start + time.Second
	if b.perReplica, err = capacity(w, 2, b.goals.want()); err != nil {
		t.Fatal(err)
	}
	b.need = needs(bins, w.Demand.Step, b.perReplica)
	b.space.Need = int32(peak(b.need))
	b.day = func(i int) *replay.World { return w.Draw(replicate(b.seed, i)) }
	return b
}

// cheapestOf returns the smallest minReplicas that meets the objectives on 40 days, from a
// search that took the given number of candidate-days.
func cheapestOf(t *testing.T, b *bench, days int) ranking {
	t.Helper()
	var s replay.Scratch
	for lo := int32(2); lo <= 8; lo++ {
		c := cpuHPA(lo, b.space.MaxReplicas(lo, 12), 60)
		c.EnsureBehavior()
		c.ScaleDown.Window, c.ScaleDown.WindowSet = time.Minute, true
		if best := b.try(c, 40, &s); best.held() >= 38 {
			k := ranking{fluids: make([]fluid, 130), trials: []*trial{made(2, 12, 0, 0, steady(days, 1)...)}}
			k.best = best
			return k
		}
	}
	t.Fatal("no size holds")
	return ranking{}
}

// What a shorter start-up saves, what more load costs, and what a loss does, compared with a
// configuration that was searched for a start-up of four minutes.
func TestWhatIf(t *testing.T) {
	b := slowStart(t, 4*time.Minute)
	o := Options{Current: cpuHPA(2, 12, 60), Objectives: b.goals.list, Price: b.price, Replicates: 8, Seed: 1, WhatIf: true,
		Progress: func(string, int, int) {}}
	for _, name := range cost.PriceNames() {
		p, _ := cost.PriceByName(name)
		o.OtherPrices = append(o.OtherPrices, p)
	}
	k := cheapestOf(t, b, 500)
	all, err := b.whatIf(t.Context(), o, k, k.best)
	if err != nil {
		t.Fatal(err)
	}
	row := func(id, text string) *WhatIf {
		i := slices.IndexFunc(all, func(w WhatIf) bool { return w.ID == id && strings.Contains(w.Text, text) })
		if i < 0 {
			t.Fatalf("no row %s %q among %+v", id, text, all)
		}
		t.Logf("%-22s %-34s %-6s $%8.2f %+.3f %q", id, all[i].Text, all[i].Verdict, value(all[i].USDMonth), value(all[i].Attainment),
			func() string {
				if all[i].Config == nil {
					return ""
				}
				return Settings(&k.best.config, all[i].Config)
			}())
		return &all[i]
	}
	t.Logf("recommended: %s", Describe(k.best.config))
	half, quarter := row("startup_half", "4 m 01 s → 2 m 01 s"), row("startup_quarter", "4 m 01 s → 60.2 s")
	if quarter.USDMonth == nil || *quarter.USDMonth.Hi >= 0 || quarter.Config == nil {
		t.Errorf("a start-up of a minute saves nothing: %+v", quarter)
	}
	if value(quarter.USDMonth) > value(half.USDMonth)+1 {
		t.Errorf("a quarter of the start-up saves %v, half of it %v", value(quarter.USDMonth), value(half.USDMonth))
	}
	more, fewer := row("one_more_at_once", "4 → 5"), row("one_fewer_at_once", "4 → 3")
	if value(more.USDMonth) >= value(fewer.USDMonth) || value(fewer.USDMonth) <= 0 {
		t.Errorf("a request more at once: %v a month; one fewer: %v", value(more.USDMonth), value(fewer.USDMonth))
	}
	quarterMore, halfMore := row("load_1.25", "× 1.25"), row("load_1.5", "× 1.5")
	if !(0 < value(quarterMore.USDMonth) && value(quarterMore.USDMonth) < value(halfMore.USDMonth)) {
		t.Errorf("load × 1.25 costs %v more, × 1.5 %v", value(quarterMore.USDMonth), value(halfMore.USDMonth))
	}
	if lost := row("replica_lost", "a replica lost"); lost.Verdict == Missed {
		t.Errorf("nothing survives one lost replica: %+v", lost)
	}
	// 1 CPU and 2 GB: 0.0445 + 2·0.0049 for 0.031611 + 2·0.004237 an hour.
	p := row("price", "gke-autopilot")
	want := (0.0543 - 0.040085) * 730 * k.best.cost() / b.world.Demand.Duration().Hours()
	if math.Abs(value(p.USDMonth)-want) > 1e-6*want {
		t.Errorf("at gke-autopilot's prices %v more a month, want %v", value(p.USDMonth), want)
	}
	for i := range all {
		if strings.Contains(all[i].Text, "gcp-g2-l4") || strings.Contains(all[i].Text, b.price.Name) {
			t.Errorf("row %q: a price of nodes with GPUs, or the present one", all[i].Text)
		}
		if i > 0 && all[i].weight() > all[i-1].weight() {
			t.Errorf("%q comes after %q, and matters more", all[i].Text, all[i-1].Text)
		}
	}
	again, err := b.whatIf(t.Context(), o, k, k.best)
	if err != nil || len(again) != len(all) || value(again[0].USDMonth) != value(all[0].USDMonth) {
		t.Errorf("a second time: %v, %+v", err, again)
	}
}

func value(i *Interval) float64 {
	if i == nil {
		return math.NaN()
	}
	return i.Value
}

// If limits leave no room, more load is missed, and no cost is given for it.
func TestWhatIfBeyondTheLimit(t *testing.T) {
	b := slowStart(t, 20*time.Second)
	b.space.MaxLimit = b.space.Need
	o := Options{Current: cpuHPA(2, 12, 60), Objectives: b.goals.list, Replicates: 8, Seed: 1, Progress: func(string, int, int) {}}
	k := cheapestOf(t, b, 300)
	all, err := b.whatIf(t.Context(), o, k, k.best)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(w WhatIf) bool { return w.ID == "load_1.5" })
	if w := all[i]; w.Verdict != Missed || w.USDMonth != nil || w.Config != nil || !(value(w.Attainment) < 0) ||
		all[0].Verdict != Missed {
		t.Errorf("half as much load again at a limit of %d: %+v", b.space.MaxLimit, w)
	}
	if r := (Recommendation{}); b.ask(t.Context(), &r, k, k.best, o) != nil || r.WhatIf != nil {
		t.Errorf("nobody asked, and there is an answer: %+v", r.WhatIf)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		to   hpa.Config
		want string
	}{
		{"size and target", cpuHPA(3, 9, 60), "min 3, target 60"},
		{"a bound is told alone", cpuHPA(2, 9, 70), "max 9"},
		{"a minimum beyond the other's bound, with its own", cpuHPA(9, 9, 70), "min 9, max 9"},
		{"nothing", cpuHPA(2, 8, 70), ""},
	} {
		from := cpuHPA(2, 8, 70)
		if got := Settings(&from, &c.to); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What was played without a change is not played again, and is what playing gives.
func TestPlayedOnce(t *testing.T) {
	b := slowStart(t, 20*time.Second)
	var s replay.Scratch
	enough, few := cpuHPA(7, 12, 60), cpuHPA(1, 1, 60)
	base := b.try(enough, 10, &s)
	known := played{trials: []*trial{base}}
	for _, row := range []struct {
		name   string
		config hpa.Config
		plays  bool
	}{
		{"a configuration of the search", enough, false},
		{"another, which fails early", few, true},
		{"the same again", few, false},
		{"another that has all its days", cpuHPA(8, 12, 60), true},
		{"the same again", cpuHPA(8, 12, 60), false},
	} {
		h, plays := newHunt(b, &s, base, 4*whatIfLeast), 0
		h.exact = func(w *replay.World, c hpa.Config, s *replay.Scratch) outcome { plays++; return b.live(w, c, s) }
		got, want := known.try(h, row.config), newHunt(b, &s, base, 4*whatIfLeast).try(row.config)
		if (plays > 0) != row.plays || len(got.days) != len(want.days) || !got.config.Equal(&want.config) {
			t.Errorf("%s: %d days played, %d known; want %v, %d", row.name, plays, len(got.days), row.plays, len(want.days))
		}
		for i := range want.days {
			if got.days[i].paid != want.days[i].paid || got.days[i].met != want.days[i].met {
				t.Errorf("%s: day %d is %+v, want %+v", row.name, i, got.days[i], want.days[i])
			}
		}
	}
}
