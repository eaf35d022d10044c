package fit

import (
	"math"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

const (
	// fewestChanges is how often a pod's value must change for its scrapes to show.
	fewestChanges = 6
	// phaseShown is the share of the changes that must agree with a phase.
	phaseShown = 0.9
)

// setPhases finds when each pod was scraped from its own samples, where the log does not name
// the pods that answered: a value that is held between scrapes changes only at one.
func (s *service) setPhases(p *plant.Pipe, m *hpa.Metric) {
	if s.visible || m.Source != hpa.Pods || !p.Apart || p.Every <= 0 {
		return
	}
	byPod := map[string][]results.Sample{}
	for _, x := range gaugeSamples(s.log, m) {
		if x.Pod != "" {
			byPod[x.Pod] = append(byPod[x.Pod], x)
		}
	}
	p.Phases = nil
	for _, name := range s.names() {
		phase := time.Duration(-1)
		if at, ok := phaseShownBy(byPod[name], p.Every.Seconds()); ok {
			phase = seconds(math.Mod(at-p.Delay.Seconds()+2*p.Every.Seconds(), p.Every.Seconds()))
		}
		p.Phases = append(p.Phases, phase)
	}
	if !slices.ContainsFunc(p.Phases, func(d time.Duration) bool { return d >= 0 }) {
		p.Phases = nil
	}
}

// names are the pods in order of creation, as the plant counts them: first those that existed
// from the start.
func (l *log) names() []string {
	var old, created []string
	for i := range l.lives {
		if p := &l.lives[i]; p.created > 0 {
			created = append(created, p.name)
		} else {
			old = append(old, p.name)
		}
	}
	return append(old, created...)
}

// phaseShownBy returns the phase of the scrapes, in seconds, that the changes of a pod's
// samples agree with; the middle one if several do. ok is false if there are few changes, or
// if they are seen too seldom to tell.
func phaseShownBy(samples []results.Sample, every float64) (phase float64, ok bool) {
	var changes [][2]float64 // the scrape was after the first, and at the latest at the second
	for i := 1; i < len(samples); i++ {
		from, to := samples[i-1].At.Seconds(), samples[i].At.Seconds()
		if samples[i].Value != samples[i-1].Value && to-from <= 0.6*every {
			changes = append(changes, [2]float64{from, to})
		}
	}
	if len(changes) < fewestChanges {
		return 0, false
	}
	step := phaseStep(every) / 2
	n := int(every / step)
	agree := make([]int, n)
	for i := range agree {
		for _, c := range changes {
			last := math.Floor((c[1]-float64(i)*step)/every)*every + float64(i)*step
			if last > c[0] {
				agree[i]++
			}
		}
	}
	best := slices.Max(agree)
	if float64(best) < phaseShown*float64(len(changes)) {
		return 0, false
	}
	first := slices.Index(agree, best)
	if first == 0 { // it may go on at the end
		for first > -n && agree[(first-1+n)%n] == best {
			first--
		}
	}
	length := 1
	for length < n && agree[((first+length)%n+n)%n] == best {
		length++
	}
	if float64(length) > 0.7*float64(n) {
		return 0, false
	}
	return math.Mod((float64(first)+float64(length-1)/2)*step+every, every), true
}
