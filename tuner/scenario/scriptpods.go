package scenario

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

func (p *scriptParser) container(words []string) {
	if len(words) == 0 {
		p.bad("container: want a name, then cpu=200m memory=1Gi, sidecar or init")
		return
	}
	c := hpa.Container{Name: words[0]}
	for _, w := range words[1:] {
		key, value, _ := cutSetting(w)
		var err error
		switch key {
		case "cpu":
			c.CPU, err = milli(value)
			c.HasCPU = true
		case "memory":
			c.Memory, err = milli(value)
			c.HasMemory = true
		case "sidecar":
			c.Sidecar = true
		case "init":
			c.Init = true
		default:
			err = fmt.Errorf("container: setting %q: want cpu, memory, sidecar or init", key)
		}
		p.check(err)
	}
	p.t.containers = append(p.t.containers, c)
}

func (p *scriptParser) pod(words []string) {
	if len(words) == 0 {
		p.bad("pod: want a name")
		return
	}
	l := &podLine{
		line:    p.line,
		pod:     hpa.Pod{Name: words[0], StartTime: -time.Hour, ReadySince: -time.Hour},
		window:  -1,
		age:     -1,
		samples: map[string]string{},
	}
	for _, w := range words[1:] {
		key, value, _ := cutSetting(w)
		var err error
		ok := true
		switch key {
		case "phase":
			l.pod.Phase, ok = hpa.ParsePhase(value)
		case "ready":
			if value == "none" {
				value = ""
			}
			l.pod.Ready, ok = hpa.ParseReady(value)
		case "since":
			l.pod.ReadySince, err = instant(value)
			l.pod.ReadySince = wholeSecond(time.Time{}, l.pod.ReadySince)
		case "start":
			if l.pod.NotStarted = value == "none"; !l.pod.NotStarted {
				l.pod.StartTime, err = instant(value)
				l.pod.StartTime = wholeSecond(time.Time{}, l.pod.StartTime)
			}
		case "deleted":
			l.pod.Deleted = true
		case "age":
			l.age, err = time.ParseDuration(value)
		case "window":
			l.window, err = time.ParseDuration(value)
		case "level.cpu", "level.memory", "overhead.cpu", "overhead.memory":
			var n int64
			n, err = milli(value)
			if l.pod.Level == nil {
				l.pod.Level = &hpa.PodLevel{}
			}
			switch key {
			case "level.cpu":
				l.pod.Level.CPU, l.pod.Level.HasCPU = n, true
			case "level.memory":
				l.pod.Level.Memory, l.pod.Level.HasMemory = n, true
			case "overhead.cpu":
				l.pod.Level.OverheadCPU = n
			default:
				l.pod.Level.OverheadMemory = n
			}
		case "containers":
			if l.pod.Containers = []hpa.Container{}; value != "none" {
				err = errors.New("containers: want none; name them with \"container\" lines")
			}
		case "request.cpu", "request.memory":
			l.pod.Containers = slices.Clone(p.t.template())
			if len(l.pod.Containers) > 0 {
				c := &l.pod.Containers[0]
				n, has := int64(0), value != "none"
				if has {
					n, err = milli(value)
				}
				if key == "request.cpu" {
					c.CPU, c.HasCPU = n, has
				} else {
					c.Memory, c.HasMemory = n, has
				}
			}
		default:
			m := p.metricOf(key)
			if m == nil || m.Source >= hpa.Object {
				err = fmt.Errorf(
					"pod: setting %q: want phase, ready, since, start, deleted, age, window, request.cpu, level.cpu, … or a "+
						"per-pod metric of this HPA",
					key,
				)
				break
			}
			err = checkValue(m, value)
			l.samples[name(m)] = value
		}
		if !ok {
			err = fmt.Errorf("pod: %s=%s: no such value", key, value)
		}
		p.check(err)
	}
	p.t.pods = append(p.t.pods, l)
}

func (p *scriptParser) memory(verb string, words []string) {
	mem := &p.t.Memory
	for _, w := range words {
		if verb == "status-was" {
			n, err := count(w)
			p.check(err)
			mem.DesiredReplicas, mem.CurrentReplicas = n, n
			continue
		}
		if verb == "condition" {
			name, value, _ := cutSetting(w)
			t, ok := hpa.ParseConditionType(name)
			s, ok2 := hpa.ParseStatus(value)
			if !ok || !ok2 {
				p.bad("condition %q: want TYPE=True, False or Unknown", w)
			}
			mem.Conditions = append(mem.Conditions, hpa.StatusCondition{Type: t, Status: s})
			p.check(hpa.New(p.t.Params).Remember(hpa.Memory{Conditions: mem.Conditions}))
			continue
		}
		amount, when, ok := strings.Cut(w, "@")
		at, err := instant(when)
		if !ok || err != nil {
			p.bad("%s %q: want AMOUNT@TIME, such as 5@-60s", verb, w)
			continue
		}
		n, err := strconv.ParseInt(amount, 10, 32)
		switch {
		case err != nil || n == math.MinInt32 || verb == "recommended" && n < 0:
			p.bad("%s %q: want a number before the @", verb, w)
		case verb == "recommended":
			mem.Recommendations = append(mem.Recommendations, hpa.Recommendation{At: at, Replicas: int32(n)})
		case n >= 0:
			mem.ScaleUp = append(mem.ScaleUp, hpa.ScaleEvent{At: at, Change: int32(n)})
		default:
			mem.ScaleDown = append(mem.ScaleDown, hpa.ScaleEvent{At: at, Change: int32(-n)})
		}
	}
}

func instant(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d > farthest || d < -farthest {
		return 0, fmt.Errorf("time %q: want a duration from the script's start, such as 45s or -1h", s)
	}
	return d, nil
}
