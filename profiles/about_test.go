package profiles

import (
	"strings"
	"testing"
)

func TestAbout(t *testing.T) {
	for _, tt := range []struct{ sentence, text, want string }{
		{"the first sentence, over lines", "# A spike\n# of load. And more.\nname: x\n", "A spike of load."},
		{"all of it, where it has no full stop", "#\n# A spike\nname: x\n", "A spike"},
		{"up to an empty comment", "# A spike\n#\n# and more\n", "A spike"},
		{"no comment", "name: x\n# later\n", ""},
	} {
		if got := About([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: About = %q, want %q", tt.sentence, got, tt.want)
		}
	}
}

// The schedule is written as it is handed out, an arrival a line.
func TestWriteArrivals(t *testing.T) {
	p, err := Load("steady")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.WriteArrivals(&b, 1); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range p.Arrivals(1) {
		n++
	}
	if got := strings.Count(b.String(), "\n"); got != n || n == 0 {
		t.Errorf("%d lines for %d arrivals", got, n)
	}
}
