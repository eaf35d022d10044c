package record

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// A profile must outlast a start-up, the windows, and the time until each is seen.
func TestTooShort(t *testing.T) {
	c := hpa.DefaultConfig(10)
	for _, x := range []struct {
		name    string
		length  time.Duration
		startup time.Duration
		want    string // "" = long enough
	}{
		{"five minutes of window need more than five minutes", 5 * time.Minute, 30 * time.Second, "add up to 7m"},
		{"with the time to see a rise and a fall, and a start-up, it is enough", 7 * time.Minute, 30 * time.Second, ""},
		{"a slow start-up asks for more", 7 * time.Minute, 90 * time.Second, "add up to 8m"},
	} {
		text, short := TooShort(x.length, c, hpa.DefaultParams(), x.startup)
		if short != (x.want != "") || !strings.HasSuffix(text, x.want) {
			t.Errorf("%s: TooShort(%v, startup %v) = %q, want one that ends in %q", x.name, x.length, x.startup, text, x.want)
		}
	}
}
