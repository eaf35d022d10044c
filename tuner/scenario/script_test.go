package scenario

import (
	"strings"
	"testing"
)

func run(t *testing.T, text string) []Mismatch {
	t.Helper()
	s, err := ParseScript("a.hpa", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Run()
}

func TestScaleDownWaitsForTheWindow(t *testing.T) {
	const script = `# Scale-down waits for the window: four syncs of 15s.
hpa     min=1 max=10 from=4 cpu=70% tolerance=0.1 down.window=60s
every   15s
cpu     70 35x4        # percent of request, averaged over ready pods; x4 = four times
desired 4x4 2          # 35/70·4 = 2, held until the 4 is a window old
`
	if got := run(t, script); len(got) != 0 {
		t.Errorf("mismatches %v", got)
	}
	got := run(t, strings.Replace(script, "4x4 2 ", "4x4 3 ", 1))
	if len(got) != 1 || got[0].String() != "a.hpa:5: tick 4 (1m0s): want desired 3, decided 2: 4 → 2: wanted 2 (cpu 35 % of 70 %)" {
		t.Errorf("mismatches %v, want one that names line, tick and why", got)
	}
}

func TestScriptProblemsNameTheirLines(t *testing.T) {
	_, err := ParseScript("a.hpa", []byte("cpu 3\nhpa max=2 min=3 cpu=0%\ncpu 70x2 x\ndesired 1\nat 7s restart\nwant 0s Able=True\nfoo 1\nhpa max=3\n"), nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`a.hpa:1: "cpu" comes before`, "a.hpa:2: target 0%", "a.hpa:2: hpa: max=2 is below min=3", `a.hpa:3: quantity "x"`,
		"a.hpa:4: desired: 1 values for 3 ticks", "a.hpa:5: at 7s: there is no tick", `a.hpa:6: want: "Able" is not a condition`, `a.hpa:7: "foo": neither`, "a.hpa:8: hpa: nothing is expected"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nlacks %q", err, want)
		}
	}
}

func FuzzParseScript(f *testing.F) {
	f.Add("hpa min=1 max=10 from=4 cpu=70% down.window=60s up.policy=4pods/15s,100%/60s\ncpu 70 35x4 _ !x2\ndesired 4x8\nat 15s edit max=3 external.q{a=b}=avg:3\nwant 0s..15s AbleToScale=True ReadyForNewScale \"x y\"\n")
	f.Add("hpa max=3 object.hits@Ingress/main=30 pods.rps=1\nhits 3\nrps 1,2,_\ndesired 1\npod a rps=3 ready=none start=none since=-1s\ncontainer a cpu=1 sidecar\nrecommended 3@-1s\nscaled -3@-5s\ncondition ScaledToZero=True\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScript("f.hpa", []byte(text), nil)
		if err != nil {
			return
		}
		for _, test := range s.Tests {
			if test.ticks > 100 || test.Spec.MaxReplicas > 1000 || test.From > 1000 || len(text) > 2000 {
				return
			}
			for _, key := range counts {
				if l := test.lists[key]; l != nil {
					for _, w := range l.words {
						if len(w) > 3 {
							return
						}
					}
				}
			}
			if strings.Contains(text, "scale") {
				return
			}
			_ = test.Run(nil)
		}
	})
}
