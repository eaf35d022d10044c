package tuner

import "testing"

func TestARunThatMetItsObjectivesIsKept(t *testing.T) {
	yes, no := true, false
	met := func(v *bool, attainment float64) *Measured { return &Measured{Met: v, Attainment: &attainment} }
	current := func(metDays int, hours ...float64) *trial { return made(4, 8, metDays, 0, hours...) }
	for _, c := range []struct {
		name     string
		measured *Measured
		current  *trial
		other    []float64 // the hours of the cheapest one that holds
		space    Space
		want     bool
	}{
		{"nobody is cheaper", met(&yes, 0.99), current(24, steady(40, 5)...), steady(40, 5), Space{}, true},
		{"cheaper on most days, and not on all", met(&yes, 0.99), current(24, swinging(40, 5, 1)...), steady(40, 4.8), Space{}, true},
		{"cheaper on every day", met(&yes, 0.99), current(24, steady(40, 5)...), steady(40, 4.9), Space{}, false},
		{"it missed its objectives", met(&no, 0.99), current(40, steady(40, 5)...), steady(40, 5), Space{}, false},
		{"one objective could not be judged", met(nil, 0.99), current(24, steady(40, 5)...), steady(40, 5), Space{}, false},
		{"the model thinks that luck", met(&yes, 0.99), current(19, steady(40, 5)...), steady(40, 5), Space{}, false},
		{"as likely as not", met(&yes, 0.99), current(20, steady(40, 5)...), steady(40, 5), Space{}, true},
		{"a third of the misses that are allowed", met(&yes, 0.984), current(24, steady(40, 5)...), steady(40, 5), Space{}, true},
		{"barely met", met(&yes, 0.982), current(24, steady(40, 5)...), steady(40, 5), Space{}, false},
		{"below the user's floor", met(&yes, 0.99), current(24, steady(40, 5)...), steady(40, 5), Space{MinFloor: 5}, false},
		{"nothing was measured", nil, current(24, steady(40, 5)...), steady(40, 5), Space{}, false},
		{"nothing else holds", met(&yes, 0.99), current(24, steady(40, 5)...), nil, Space{}, false},
	} {
		k := ranking{trials: []*trial{c.current}}
		if c.other != nil {
			k.cheapest = made(5, 8, len(c.other), 1, c.other...)
		}
		if got := k.keeps(c.measured, 0.95, c.space); got != c.want {
			t.Errorf("%s: keeps = %v, want %v", c.name, got, c.want)
		}
	}
}
