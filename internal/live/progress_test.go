package live

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPipedProgress: a log gets the first count of a stage, one every five seconds, and
// the last.
func TestPipedProgress(t *testing.T) {
	type step struct {
		after       time.Duration
		stage       string
		done, total int
	}
	for _, tt := range []struct {
		sentence string
		steps    []step
		want     []string
	}{
		{"the last count of a stage is printed when the next begins",
			[]step{{0, "rank", 1, 400}, {0, "rank", 55, 400}, {0, "margin", 1, 6}},
			[]string{"ranking candidates: 1 of 400", "ranking candidates: 55 of 400", "finding the load margin: 1 of 6"}},
		{"and that of the last stage at the end",
			[]step{{0, "search", 1, 57}, {0, "search", 56, 57}, {0, "search", 57, 57}},
			[]string{"searching: 1 of 57", "searching: 57 of 57"}},
		{"between them, one every five seconds",
			[]step{{0, "search", 1, 57}, {4 * time.Second, "search", 20, 57}, {2 * time.Second, "search", 30, 57},
				{time.Second, "search", 57, 57}},
			[]string{"searching: 1 of 57", "searching: 30 of 57, 5s left", "searching: 57 of 57"}},
		{"no count twice", []step{{0, "fit", 0, 1}, {0, "fit", 1, 1}, {0, "rank", 0, 9}},
			[]string{"fitting the model: 0 of 1", "fitting the model: 1 of 1", "ranking candidates: 0 of 9"}},
		{"a stage that is over at once prints nothing", []step{{0, "effect", 2, 2}, {0, "effect", 2, 2}}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b strings.Builder
			report, finish := Progress(&b, false)
			for _, s := range tt.steps {
				time.Sleep(s.after)
				report(s.stage, s.done, s.total)
			}
			finish()
			want := strings.Join(tt.want, "\n")
			if got := strings.TrimSuffix(b.String(), "\n"); got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", tt.sentence, got, want)
			}
		})
	}
}

// TestBar: a terminal gets a bar in front of the count, on the same line.
func TestBar(t *testing.T) {
	for _, tt := range []struct {
		sentence    string
		done, total int
		want        string
	}{
		{"nothing is done", 0, 9, "[                    ]"},
		{"a quarter", 100, 400, "[=====               ]"},
		{"all", 57, 57, "[====================]"},
		{"more than was expected", 60, 57, "[====================]"},
		{"nothing to do", 0, 0, "[                    ]"},
		{"all but one is not all", 399, 400, "[=================== ]"},
	} {
		if got := bar(tt.done, tt.total); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.sentence, got, tt.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		report, finish := Progress(&b, true)
		report("rank", 100, 400)
		time.Sleep(2 * time.Second)
		report("rank", 200, 400)
		finish()
		want := "\r\x1b[K[=====               ] ranking candidates: 100 of 400" +
			"\r\x1b[K[==========          ] ranking candidates: 200 of 400, 2s left\r\x1b[K"
		if got := b.String(); got != want {
			t.Errorf("on a terminal: got %q, want %q", got, want)
		}
	})
}
