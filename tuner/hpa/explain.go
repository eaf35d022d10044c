package hpa

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Explain describes the decision in one sentence for a person: the size that was wanted, by which
// metric, what held or limited it, and which pods did not count. It computes nothing again.
func (d *Decision) Explain() string {
	if d.Err != nil && d.spec == nil {
		return d.Err.Error()
	}
	switch d.Path {
	case NoScale:
		return fmt.Sprintf("stays at %d: the scale could not be read (%v)", d.From, d.fault.err)
	case AtZero:
		return "stays at 0: the HPA did not make this zero, so scaling is disabled until somebody scales the target up"
	case AboveMax:
		return d.head() + fmt.Sprintf(
			": above maxReplicas %d, so it is reduced at once, without metrics, windows or policies",
			d.spec.MaxReplicas,
		)
	case BelowMin:
		return d.head() + fmt.Sprintf(
			": below minReplicas %d, so it is raised at once, without metrics, windows or policies",
			d.spec.MinReplicas,
		)
	case NoComputation:
		s := fmt.Sprintf("stays at %d: ", d.From)
		if d.HasProposal {
			s += fmt.Sprintf(
				"wanted %d (%s), but a failing metric blocks scaling down: ",
				d.Proposal.Replicas,
				d.Proposal.usage(),
			)
		}
		if f := d.fault; f.fault != nil {
			return s + f.metric.inner(f.fault)
		} else if f.err != nil {
			return s + f.err.Error()
		}
		return s + "the target's scale has no selector"
	}
	parts := []string{d.wanted()}
	for _, s := range [...]string{d.held(), d.bound(), d.Proposal.uncounted(), d.failed()} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return d.head() + ": " + strings.Join(parts, "; ")
}

func (d *Decision) head() string {
	switch {
	case d.Scaled:
		return fmt.Sprintf("%d → %d", d.From, d.Replicas)
	case d.rescale.form == formNewSizeFailed:
		return fmt.Sprintf("stays at %d, writing %d failed (%v)", d.From, d.rescale.n, d.rescale.err)
	}
	return fmt.Sprintf("stays at %d", d.From)
}

func (d *Decision) wanted() string {
	p := &d.Proposal
	switch {
	case p.Kept:
		return fmt.Sprintf("%s; counting the other pods would reverse the direction, so the size is kept", p.usage())
	case p.Tolerated && p.First != p.Ratio:
		return fmt.Sprintf("%s over the measured pods, within tolerance with the others", p.usage())
	case p.Tolerated:
		return fmt.Sprintf("%s is within tolerance", p.usage())
	}
	return fmt.Sprintf("wanted %d (%s)", p.Replicas, p.usage())
}

func (d *Decision) held() string {
	want := max(0, d.Proposal.Replicas)
	if d.Stable == want {
		return ""
	}
	what := "highest"
	if d.spec.Behavior && want >= d.From {
		what = "lowest"
	}
	return fmt.Sprintf(
		"stabilization gives %d, the %s recommendation in its window (%s ago)",
		d.Stable,
		what,
		FormatValue((d.At - d.StableFrom).Round(time.Second)),
	)
}

func (d *Decision) bound() string {
	if d.Limited == d.Stable {
		return ""
	}
	rules := &d.spec.ScaleDown
	if d.Up {
		rules = &d.spec.ScaleUp
	}
	switch {
	case d.Limited == d.Limit && d.Policy >= 0 && int(d.Policy) < len(rules.Policies):
		return fmt.Sprintf("the policy of %s allows %d", rules.Policies[d.Policy], d.Limit)
	case d.Limited == d.Limit && d.spec.Behavior && rules.Select == Disabled:
		return "scaling in this direction is disabled"
	case d.Limited == d.Limit && d.spec.Behavior:
		return fmt.Sprintf("the policies allow %d", d.Limit)
	case d.Limited == d.Limit && d.Limit < d.spec.MaxReplicas:
		return fmt.Sprintf("one step may double the size or reach 4: %d", d.Limit)
	case d.Limited == d.spec.MaxReplicas && d.Stable > d.Limited:
		return fmt.Sprintf("maxReplicas is %d", d.Limited)
	}
	return fmt.Sprintf("minReplicas is %d", d.Limited)
}

func (d *Decision) failed() string {
	n, first := 0, ""
	for i := range d.Per {
		if d.Per[i].Fault.Code != OK {
			if n++; n == 1 {
				first = d.Per[i].Metric.inner(&d.Per[i].Fault)
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d metrics failed (%s)", n, len(d.Per), first)
}

// usage is the value of the metric in words: "cpu 118 % of 70 %".
func (p *Proposal) usage() string {
	m := p.Metric
	switch {
	case m.Source <= ContainerResource && m.Target.AverageMilli == 0:
		return fmt.Sprintf("%s %d %% of %d %%", m.Key(), p.Utilization, m.Target.Utilization)
	case p.UsageMilli == math.MinInt64:
		return fmt.Sprintf("%s over no replicas, for %s each", m.Key(), m.quantity(m.Target.AverageMilli))
	case m.statusKind() == Value:
		return fmt.Sprintf("%s %s of %s", m.Key(), m.quantity(p.UsageMilli), m.quantity(m.Target.ValueMilli))
	}
	return fmt.Sprintf("%s %s of %s each", m.Key(), m.quantity(p.UsageMilli), m.quantity(m.Target.AverageMilli))
}

// quantity prints thousandths: cpu as "250m", memory as "12.5Mi", others as a decimal.
func (m *Metric) quantity(milli int64) string {
	switch {
	case m.Source <= ContainerResource && m.Name == "cpu":
		return strconv.FormatInt(milli, 10) + "m"
	case m.Source <= ContainerResource && m.Name == "memory":
		return strconv.FormatFloat(float64(milli/1000)/(1<<20), 'g', 4, 64) + "Mi"
	}
	return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64)
}

// uncounted lists the pods that were left out or counted with an assumed value.
func (p *Proposal) uncounted() string {
	var parts []string
	add := func(n int32, one, many, how string) {
		switch {
		case n == 1:
			parts = append(parts, "1 pod "+one+" "+how)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d pods %s %s", n, many, how))
		}
	}
	if p.Metric == nil || p.Metric.Source >= Object {
		return ""
	}
	up, down := p.First > 1, p.First < 1
	how := "was left out"
	hows := "were left out"
	if up {
		how, hows = "counted as 0", "counted as 0"
	}
	if p.Unready == 1 {
		add(1, "still not ready", "", how)
	} else {
		add(p.Unready, "", "still not ready", hows)
	}
	switch {
	case up:
		how = "counted as 0"
	case down && p.Metric.Target.AverageMilli != 0:
		how = "counted as on target"
	case down:
		how = "counted as " + strconv.Itoa(int(max(100, p.Metric.Target.Utilization))) + " % of its request"
	default:
		how = "changed nothing"
	}
	add(p.Missing, "without metrics", "without metrics", how)
	return strings.Join(parts, ", ")
}

// Age is the age of the recommendation that decided Stable.
func (d *Decision) Age() time.Duration { return d.At - d.StableFrom }
