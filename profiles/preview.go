package profiles

import (
	"fmt"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
)

// Preview is `profile preview -o json`.
type Preview struct {
	DurationS float64        `json:"duration_s"`
	Arrivals  int            `json:"arrivals"`
	Stages    []StagePreview `json:"stages"`
}

// StagePreview is one stage of a Preview: its span in seconds of run time, and the arrivals
// of the seed's schedule.
type StagePreview struct {
	Name     string  `json:"name"`
	Shape    Shape   `json:"shape"`
	FromS    float64 `json:"from_s"`
	ToS      float64 `json:"to_s"`
	Warmup   bool    `json:"warmup"`
	Arrivals int     `json:"arrivals"`
}

// Preview counts the arrivals of a seed's schedule by walking through it.
func (p *Profile) Preview(seed int64) Preview {
	out := Preview{DurationS: p.Duration().Seconds(), Stages: make([]StagePreview, len(p.Stages))}
	for i := range p.Stages {
		s := &p.Stages[i]
		out.Stages[i] = StagePreview{
			Name:   s.Name,
			Shape:  s.Shape(),
			FromS:  s.From.Seconds(),
			ToS:    s.To.Seconds(),
			Warmup: s.Warmup,
		}
	}
	for a := range p.Arrivals(seed) {
		out.Stages[a.Stage].Arrivals++
		out.Arrivals++
	}
	return out
}

// Sketch draws the rate over time in width × height characters, with an axis
// on the left and one below:
//
//	20/s |     ###
//	     |   #####
//	 0/s |##########
//	     0s      10m
//
// A column is as high as the mean of its span; any rate above 0 shows.
func (p *Profile) Sketch(width, height int) string {
	width, height = max(8, width), max(2, height)
	total := p.Duration()
	if total <= 0 {
		return ""
	}
	rates := make([]float64, width)
	top := 0.0
	for i := range rates {
		from := time.Duration(float64(total) * float64(i) / float64(width))
		to := time.Duration(float64(total) * float64(i+1) / float64(width))
		rates[i] = p.Expected(from, to) / max(1e-9, (to-from).Seconds())
		top = max(top, rates[i])
	}
	label := fmt.Sprintf("%.3g/s", top)
	var b strings.Builder
	for line := height; line >= 1; line-- {
		var row strings.Builder
		for _, r := range rates {
			filled := top > 0 && r > top*(float64(line)-0.5)/float64(height) || line == 1 && r > 0
			if filled {
				row.WriteByte('#')
			} else {
				row.WriteByte(' ')
			}
		}
		left := ""
		switch line {
		case height:
			left = label
		case 1:
			left = "0/s"
		}
		fmt.Fprintf(&b, "%*s |%s\n", len(label), left, strings.TrimRight(row.String(), " "))
	}
	end := figure.Duration(total.Round(time.Second))
	fmt.Fprintf(&b, "%*s 0s%*s\n", len(label)+1, "", width-2, end)
	return b.String()
}
