package scenario

import (
	"regexp"
	"slices"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// Script is a file of unit tests for HPAs. README.md describes the language.
type Script struct {
	File  string
	Tests []*Test
}

// Test is one `hpa` line and the lines that belong to it.
type Test struct {
	File    string
	Line    int
	Comment []string // the comment lines before it, without their #
	Name    string
	Spec    hpa.Config
	Params  hpa.Params
	Memory  hpa.Memory
	From    int32
	Every   time.Duration

	times      []time.Duration // of the ticks, where they are given; else Every
	ticks      int
	window     time.Duration
	age        time.Duration
	containers []hpa.Container
	pods       []*podLine
	lists      map[string]*list
	actions    []action
	wants      []want
	final      hpa.Config // Spec with every edit, to know all metrics
}

// list is a line with one word per tick.
type list struct {
	line  int
	words []string
}

// at returns the word for tick i; beyond the end, the last one.
func (l *list) at(i int) string {
	if l == nil || len(l.words) == 0 {
		return "_"
	}
	return l.words[min(i, len(l.words)-1)]
}

// exactly returns the word for tick i, "_" beyond the end.
func (l *list) exactly(i int) string {
	if l == nil || i >= len(l.words) {
		return "_"
	}
	return l.words[i]
}

// action is something that happens just before a tick.
type action struct {
	line  int
	at    time.Duration
	verb  string
	words []string
}

// podLine is one `pod` line.
type podLine struct {
	line    int
	pod     hpa.Pod
	age     time.Duration
	window  time.Duration
	samples map[string]string // by the metric's name in the script
}

var (
	counts  = []string{"pods", "pending", "unready", "missing", "failed", "terminating", "ghosts", "status", "scale"}
	expects = []string{"desired", "replicas", "proposal"}
	times   = regexp.MustCompile(`^(.+)x([0-9]+)$`)
)

// maxTicks bounds a script: a day of 15 s ticks is 5,760.
const maxTicks = 100_000

// time returns when tick i is.
func (t *Test) time(i int) time.Duration {
	if len(t.times) > 0 {
		return t.times[i]
	}
	return time.Duration(i) * t.Every
}

func (t *Test) tickOf(at time.Duration) int {
	return int(min(max(0, (at+t.Every-1)/t.Every), maxTicks))
}

func (t *Test) isTick(at time.Duration) bool {
	if len(t.times) > 0 {
		return slices.Contains(t.times, at)
	}
	return at >= 0 && at%t.Every == 0 && at/t.Every < time.Duration(t.ticks)
}

// template is the containers of a pod that names none: one that requests a core and 1000Mi.
func (t *Test) template() []hpa.Container {
	if t.containers == nil {
		return []hpa.Container{{Name: "app", CPU: 1000, HasCPU: true, Memory: 1000 << 20 * 1000, HasMemory: true}}
	}
	return t.containers
}
