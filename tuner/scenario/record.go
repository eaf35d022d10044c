package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// FromObservations makes a scenario from what a controller saw: one step per observation, with the
// observed sizes. The first observation must carry the spec.
func FromObservations(
	id string,
	p hpa.Params,
	name hpa.Identity,
	start time.Time,
	m hpa.Memory,
	obs []hpa.Observation,
) *Scenario {
	s := &Scenario{ID: id, Params: p, Name: name, Start: start, Memory: m}
	for i, o := range obs {
		if i == 0 {
			s.Spec, s.Replicas = o.Spec, o.SpecReplicas
		}
		s.Steps = append(
			s.Steps,
			Step{Observation: o, SetReplicas: true, SetStatusReplicas: true, Label: fmt.Sprintf("observations[%d]", i)},
		)
	}
	return s
}

// Load is what one metric reports in a written script: one word per tick ("70", "250m", "_").
type Load struct {
	Metric *hpa.Metric
	Words  []string
}

// Write writes a script for the HPA in the manifest called file, which contains spec. The script
// has these loads, a tick apart, and expects what the core decides on them. So it passes, and it
// fails once somebody changes the manifest so that the HPA decides differently. comment may have
// several lines.
func Write(
	comment, file string,
	spec *hpa.Config,
	p hpa.Params,
	from int32,
	every time.Duration,
	loads []Load,
) (string, error) {
	var head, body strings.Builder
	for line := range strings.Lines(comment) {
		head.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
	}
	fmt.Fprintf(&head, "hpa      file=%s from=%d\n", file, from)
	if flags := controllerWords(p); flags != "" {
		body.WriteString("controller" + flags + "\n")
	}
	fmt.Fprintf(&body, "every    %s\n", every)
	ticks := 0
	lists := map[string]*list{}
	for _, l := range loads {
		for _, w := range l.Words {
			if err := checkValue(l.Metric, w); err != nil {
				return "", fmt.Errorf("load of %s: %w", name(l.Metric), err)
			}
		}
		ticks = max(ticks, len(l.Words))
		lists[name(l.Metric)] = &list{words: l.Words}
		fmt.Fprintf(&body, "%-8s %s\n", name(l.Metric), fold(l.Words))
	}
	t := &Test{
		File:   file,
		Spec:   *spec,
		Params: p,
		From:   from,
		Every:  every,
		ticks:  ticks,
		window: 15 * time.Second,
		lists:  lists,
	}
	var desired []string
	t.Run(func(l *Line) { desired = append(desired, strconv.Itoa(int(l.DesiredReplicas))) })
	fmt.Fprintf(&body, "desired  %s\n", fold(desired))
	return head.String() + body.String(), nil
}

// controllerWords are the flags that differ from the defaults.
func controllerWords(p hpa.Params) string {
	var b strings.Builder
	if p.Release != 0 && p.Release != hpa.Latest {
		fmt.Fprintf(&b, " release=1.%d", p.Release)
	}
	d := hpa.ParamsFor(p.Release)
	if p.Tolerance != d.Tolerance {
		b.WriteString(" tolerance=" + strconv.FormatFloat(p.Tolerance, 'f', -1, 64))
	}
	for _, f := range []struct {
		name     string
		is, want time.Duration
	}{{"downscale-stabilization", p.DownscaleStabilization, d.DownscaleStabilization}, {"cpu-initialization-period",
		p.CPUInitializationPeriod, d.CPUInitializationPeriod},
		{"initial-readiness-delay", p.InitialReadinessDelay, d.InitialReadinessDelay}} {
		if f.is != f.want {
			fmt.Fprintf(&b, " %s=%s", f.name, f.is)
		}
	}
	for _, g := range []struct {
		name     string
		is, want bool
	}{{"HPAScaleToZero", p.Gates.ScaleToZero, d.Gates.ScaleToZero},
		{"HPAConfigurableTolerance", p.Gates.ConfigurableTolerance, d.Gates.ConfigurableTolerance},
		{"PodLevelResources", p.Gates.PodLevelResources, d.Gates.PodLevelResources}} {
		if g.is != g.want {
			fmt.Fprintf(&b, " %s=%v", g.name, g.is)
		}
	}
	return b.String()
}

// fold writes a run of equal words once: 35 35 35 → 35x3.
func fold(words []string) string {
	var parts []string
	for len(words) > 0 {
		n := slices.IndexFunc(words, func(w string) bool { return w != words[0] })
		if n < 0 {
			n = len(words)
		}
		part := words[0]
		if n > 1 {
			part += "x" + strconv.Itoa(n)
		}
		parts, words = append(parts, part), words[n:]
	}
	return strings.Join(parts, " ")
}
