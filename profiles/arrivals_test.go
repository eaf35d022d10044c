package profiles

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func parse(t testing.TB, yaml string) *Profile {
	t.Helper()
	p, err := Parse("p.yaml", []byte(yaml), files(smallTrace))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func times(seq iter.Seq[Arrival]) (out []float64) {
	for a := range seq {
		out = append(out, a.At.Seconds())
	}
	return out
}

func lines(p *Profile, seed int64) string {
	var b []byte
	for a := range p.Arrivals(seed) {
		b = p.AppendArrival(b, a)
	}
	return string(b)
}

// TestRampIsExact is bar B8: a ramp from 1 to 101/s over 10 s, each arrival
// within 1 ms of the ideal (vegeta's LinearPacer is 1,460 ms late).
// The ideal is t = (−1 + √(1 + 20(k+½)))/10, where t + 5t² = k + ½.
func TestRampIsExact(t *testing.T) {
	p := parse(t, "stages: [{ramp: {from: 1/s, to: 101/s}, duration: 10s, arrivals: constant}]")
	got := times(p.Arrivals(1))
	if len(got) != 510 {
		t.Fatalf("%d arrivals, want 510", len(got))
	}
	worst := 0.0
	for k, at := range got {
		worst = max(worst, math.Abs(at-(-1+math.Sqrt(1+20*(float64(k)+0.5)))/10))
	}
	if worst > 1e-9 {
		t.Errorf("worst arrival is %g s off, want at most a nanosecond", worst)
	}
}

func TestConstantArrivals(t *testing.T) {
	for _, c := range []struct{ name, stages, want string }{
		{"arrival k is where the integral is k + ½", "[{rate: 2/s, duration: 2s, arrivals: constant}]", "0.25 0.75 1.25 1.75"},
		{"a fraction is carried into the next stage", "[{rate: 1/s, duration: 1800ms, arrivals: constant}, {rate: 1/s, duration: 1800ms, arrivals: constant}]", "0.5 1.5 2.5 3.5"},
		{"slow stages add up to an arrival", "[{rate: 0.1/s, duration: 2s, arrivals: constant}, {rate: 0.1/s, duration: 2s, arrivals: constant}, {rate: 0.1/s, duration: 2s, arrivals: constant}]", "5"},
		{"a stage at 0 sends nothing", "[{rate: 0/s, duration: 9s, arrivals: constant}, {rate: 1/s, duration: 1s, arrivals: constant}]", "9.5"},
		{"an arrival at the boundary belongs to the next stage", "[{rate: 1/s, duration: 500ms, arrivals: constant}, {rate: 1/s, duration: 1s, arrivals: constant}]", "0.5"},
		{"a ramp from nothing", "[{ramp: {from: 0, to: 2/s}, duration: 2s, arrivals: constant}]", fmt.Sprintf("%.9g %.9g", math.Sqrt(1), math.Sqrt(3))},
		{"a ramp to nothing mirrors it", "[{ramp: {from: 2/s, to: 0}, duration: 2s, arrivals: constant}]", fmt.Sprintf("%.9g %.9g", 2-math.Sqrt(3), 2-math.Sqrt(1))},
		{"a ramp that is flat", "[{ramp: {from: 2/s, to: 2/s}, duration: 1s, arrivals: constant}]", "0.25 0.75"},
		{"per minute", "[{rate: 60/m, duration: 2s, arrivals: constant}]", "0.5 1.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, at := range times(parse(t, "stages: "+c.stages).Arrivals(1)) {
				got = append(got, fmt.Sprintf("%.9g", at))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%s → %s, want %s", c.stages, s, c.want)
			}
		})
	}
}

// TestAgainstIntegration holds closed forms and inverses against a rate that is
// summed up numerically, on random stages of every shape.
func TestAgainstIntegration(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		d := time.Duration(1+r.IntN(600)) * time.Second
		s := Stage{Duration: d, Process: Process{Law: Even}}
		switch r.IntN(3) {
		case 0:
			s.Rate = new(Rate(r.Float64() * 5))
		case 1:
			s.Ramp = &Ramp{Rate(r.Float64() * 5 * float64(r.IntN(2))), Rate(r.Float64() * 5 * float64(r.IntN(2)))}
		default:
			m := Rate(0.1 + r.Float64()*5)
			s.Sine = &Sine{Mean: m, Amplitude: m * Rate([]float64{0, 0.5, 1}[r.IntN(3)]), Period: time.Duration(1+r.IntN(300)) * time.Second, Shift: time.Duration(r.IntN(400)) * time.Second}
		}
		p, problems := Profile{Stages: []Stage{s}}.Complete(nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		c := p.Stages[0].curve()
		const steps = 20_000
		sum, h := 0.0, c.length/steps
		for i := range steps {
			sum += c.rate((float64(i)+0.5)*h) * h
		}
		if math.Abs(sum-c.top) > 1e-4*(1+sum) {
			t.Errorf("%+v: closed form %g, summed up %g", p.Stages[0], c.top, sum)
		}
		k, last := 0, -1.0
		for _, at := range times(p.Arrivals(1)) {
			if got := c.integral(at); math.Abs(got-(float64(k)+0.5)) > 1e-6 {
				t.Errorf("%+v: arrival %d at %g, where the integral is %g", p.Stages[0], k, at, got)
			}
			if at < last || at >= c.length {
				t.Errorf("%+v: arrival %d at %g, after one at %g", p.Stages[0], k, at, last)
			}
			last = at
			k++
		}
		if math.Abs(float64(k)-c.top) > 0.5+1e-6 {
			t.Errorf("%+v: %d arrivals, integral %g", p.Stages[0], k, c.top)
		}
	}
}

// TestCountNeverDrifts cuts loads into many stages: the count over any prefix
// of the profile stays within one of the integral.
func TestCountNeverDrifts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var p Profile
		for range 60 {
			s := Stage{Duration: time.Duration(1 + r.Int64N(int64(7*time.Second))), Process: Process{Law: Even}, Ramp: &Ramp{Rate(r.Float64() * 3), Rate(r.Float64() * 3)}}
			if r.IntN(4) == 0 {
				s.Ramp, s.Rate = nil, new(Rate(0.1))
			}
			p.Stages = append(p.Stages, s)
		}
		q, problems := p.Complete(nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		at := times(q.Arrivals(1))
		for _, s := range q.Stages {
			n, _ := slices.BinarySearch(at, s.To.Seconds())
			if want := q.Expected(0, s.To); math.Abs(float64(n)-want) > 1 {
				t.Fatalf("by %v %d arrivals, the integral is %g", s.To, n, want)
			}
		}
	}
}

// TestRandomArrivals checks mean and coefficient of variation of the gaps
// (mapped back through the rate), with limits of four standard errors.
func TestRandomArrivals(t *testing.T) {
	for _, c := range []struct {
		name, stage string
		cv          float64
	}{
		{"poisson on a constant rate", "rate: 100/s", 1},
		{"gamma of 3 on a constant rate", "rate: 100/s, arrivals: {gamma: {cv: 3}}", 3},
		{"gamma of a half on a ramp", "ramp: {from: 0, to: 200/s}, arrivals: {gamma: {cv: 0.5}}", 0.5},
		{"poisson on a wave that touches zero", "sine: {mean: 100/s, amplitude: 100/s, period: 60s}", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, "stages: [{"+c.stage+", duration: 300s}]")
			curve := p.Stages[0].curve()
			var n, sum, squares, last float64
			for _, at := range times(p.Arrivals(5)) {
				u := curve.integral(at)
				n++
				sum += u - last
				squares += (u - last) * (u - last)
				last = u
			}
			mean := sum / n
			cv := math.Sqrt(squares/n-mean*mean) / mean
			if math.Abs(mean-1) > 4*c.cv/math.Sqrt(n) || math.Abs(cv/c.cv-1) > 0.06 {
				t.Errorf("%.0f gaps of mean %.4f and cv %.4f, want 1 and %g", n, mean, cv, c.cv)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	for _, k := range []Tokens{{512, 0}, {128, 1}, {64, 0.3}, {100, 2}, {0, 0}} {
		s := newStream(1, 2, 3)
		var n, sum, squares float64 = 50_000, 0, 0
		for range int(n) {
			v := float64(k.draw(s))
			if v < 1 && k.Mean > 0 {
				t.Fatalf("%+v drew %g", k, v)
			}
			sum += v
			squares += v * v
		}
		mean := sum / n
		sd := math.Sqrt(max(0, squares/n-mean*mean))
		if math.Abs(mean-k.Mean) > 0.04*k.Mean || math.Abs(sd-k.CV*k.Mean) > 0.06*k.CV*k.Mean {
			t.Errorf("%+v: mean %g, deviation %g", k, mean, sd)
		}
	}
}

func TestClassesFollowTheirWeights(t *testing.T) {
	p := parse(t, "classes: [{name: a, weight: 3, output_tokens: 5}, {name: b, prompt_tokens: 7}]\nstages: [{rate: 1000/s, duration: 20s}]")
	var n, b float64
	for a := range p.Arrivals(1) {
		n++
		b += float64(a.Class)
		if a.Class == 0 && (a.Prompt != 0 || a.Max != 5) || a.Class == 1 && (a.Prompt != 7 || a.Max != 0) {
			t.Fatalf("%+v", a)
		}
	}
	if math.Abs(b/n-0.25) > 0.015 {
		t.Errorf("class b got %.3f of %g, want 0.25", b/n, n)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	p := parse(t, everything)
	if lines(p, 1) != lines(parse(t, everything), 1) {
		t.Error("the same seed made another schedule")
	}
	if lines(p, 1) == lines(p, 2) {
		t.Error("another seed made the same schedule")
	}
	first, _, _ := strings.Cut(lines(parse(t, "classes: [{name: chat, prompt_tokens: 512, output_tokens: 128}]\nstages: [{rate: 40/s, duration: 1s, arrivals: constant}]"), 1), "\n")
	if want := `{"i":0,"t_s":0.012500000,"stage":0,"class":"chat","prompt_tokens":512,"output_tokens":128}`; first != want {
		t.Errorf("line %s, want %s", first, want)
	}
}

// TestLaterStagesDoNotMoveEarlierOnes: so that a profile can be lengthened
// without making its older runs something else.
func TestLaterStagesDoNotMoveEarlierOnes(t *testing.T) {
	short := lines(parse(t, "stages: [{rate: 20/s, duration: 10s}]"), 1)
	long := lines(parse(t, "stages: [{rate: 20/s, duration: 10s}, {rate: 50/s, duration: 10s}]"), 1)
	if !strings.HasPrefix(long, short) {
		t.Error("a stage at the end moved what was before")
	}
}

// TestAnotherClassDoesNotMoveTheArrivals: times and classes have their own streams.
func TestAnotherClassDoesNotMoveTheArrivals(t *testing.T) {
	one := times(parse(t, "classes: [{name: a}]\nstages: [{rate: 20/s, duration: 10s}]").Arrivals(1))
	two := times(parse(t, "classes: [{name: a, output_tokens: {mean: 9, cv: 1}}, {name: b}]\nstages: [{rate: 20/s, duration: 10s}]").Arrivals(1))
	if !slices.Equal(one, two) {
		t.Error("a second class moved the arrivals")
	}
}

func TestInvariants(t *testing.T) {
	for _, name := range Names() {
		p, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "soak" {
			p.Stages[1].Duration = 10 * time.Minute
			q, problems := p.Complete(Shipped())
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			p = q
		}
		n, last := 0, time.Duration(0)
		for a := range p.Arrivals(3) {
			s := p.Stages[a.Stage]
			if a.Index != n || a.At < last || a.At < s.From || a.At >= s.To {
				t.Fatalf("%s: %+v after %v in [%v, %v)", name, a, last, s.From, s.To)
			}
			n, last = n+1, a.At
		}
		v := p.Preview(3)
		sum := 0
		for _, s := range v.Stages {
			sum += s.Arrivals
		}
		if v.Arrivals != n || sum != n {
			t.Errorf("%s: preview counts %d and %d, there are %d", name, v.Arrivals, sum, n)
		}
		if want := p.Expected(0, p.Duration()); math.Abs(float64(n)-want) > 6*3*math.Sqrt(want) {
			t.Errorf("%s: %d arrivals, expected %g", name, n, want)
		}
	}
}

func TestStoppingEarly(t *testing.T) {
	n := 0
	for range parse(t, everything).Arrivals(1) {
		if n++; n == 10 {
			break
		}
	}
	if n != 10 {
		t.Errorf("%d arrivals after a break at 10", n)
	}
}

func TestRateAndPeak(t *testing.T) {
	p := parse(t, `stages:
- {ramp: {from: 0, to: 10/s}, duration: 10s}
- {sine: {mean: 5/s, amplitude: 5/s, period: 40s}, duration: 5s}
- {sine: {mean: 15/s, amplitude: 5/s, period: 40s, shift: 30s}, duration: 40s}
- {trace: {file: trace.csv}}
`)
	for at, want := range map[time.Duration]float64{-1: 0, 0: 0, 5 * time.Second: 5, 10 * time.Second: 5, 15 * time.Second: 10, 35 * time.Second: 20, 55 * time.Second: 0.2, time.Hour: 0} {
		if got := p.Rate(at); math.Abs(float64(got)-want) > 1e-9 {
			t.Errorf("Rate(%v) = %v, want %g/s", at, got, want)
		}
	}
	if got := p.Peak(); got != 20 {
		t.Errorf("Peak = %v, want 20/s", got)
	}
	if got, want := (&Sine{Mean: 5, Amplitude: 5, Period: 40 * time.Second}).top(5*time.Second), 5+5*math.Sin(math.Pi/4); math.Abs(float64(got)-want) > 1e-12 {
		t.Errorf("an eighth of a wave tops at %v, want %g/s", got, want)
	}
	if got := p.Expected(0, 10*time.Second); math.Abs(got-50) > 1e-9 {
		t.Errorf("Expected = %g, want 50", got)
	}
}

func TestSketch(t *testing.T) {
	got := parse(t, "stages: [{rate: 1/s, duration: 5s}, {rate: 4/s, duration: 5s}]").Sketch(8, 4)
	want := `4/s |    ####
    |    ####
    |    ####
0/s |########
     0s   10s
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSessions(t *testing.T) {
	p := Prompts{Turns: 2, Sessions: 3}
	var got []string
	for i := range 9 {
		s, turn := p.Session(i)
		got = append(got, fmt.Sprintf("%d.%d", s, turn))
	}
	if s, want := strings.Join(got, " "), "0.0 1.0 2.0 0.1 1.1 2.1 3.0 4.0 5.0"; s != want {
		t.Errorf("sessions %s, want %s", s, want)
	}
	if s, turn := (Prompts{}).Session(7); s != 7 || turn != 0 {
		t.Errorf("without turns arrival 7 is session %d, turn %d", s, turn)
	}
}

func BenchmarkArrivals(b *testing.B) {
	for _, c := range []struct{ name, stage string }{
		{"constant", "rate: 1000/s, arrivals: constant"}, {"poisson", "rate: 1000/s"}, {"gamma", "rate: 1000/s, arrivals: {gamma: {cv: 2}}"},
		{"ramp", "ramp: {from: 0, to: 2000/s}"}, {"sine", "sine: {mean: 1000/s, amplitude: 1000/s, period: 10m}"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := parse(b, "classes: [{name: a, output_tokens: {mean: 100, cv: 1}}]\nstages: [{"+c.stage+", duration: 24h}]")
			b.ReportAllocs()
			n := 0
			for range p.Arrivals(1) {
				if n++; n >= b.N {
					break
				}
			}
		})
	}
}
