package live

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress returns a sink for long work: candidates done and time left. On a
// terminal (live) it is one line with a bar that is drawn over; piped, a plain line a stage
// and every five seconds.
func Progress(w io.Writer, live bool) (report func(stage string, done, total int), finish func()) {
	names := map[string]string{
		"fit":      "fitting the model",
		"search":   "searching",
		"rank":     "ranking candidates",
		"simplify": "removing changes that have no effect",
		"effect":   "measuring the effect of each change",
		"margin":   "finding the load margin",
		"signals":  "trying other metrics",
		"what-if":  "computing the what-if table",
	}
	var (
		stage   string
		started time.Time
		printed time.Time // when the last text of this stage was; zero = none was
		last    string    // of this stage, not printed yet; "" = none
	)
	write := func(text string) {
		if live {
			fmt.Fprintf(w, "\r\x1b[K%s", text)
		} else {
			fmt.Fprintln(w, text)
		}
		last = ""
	}
	// A stage that printed something ends with its last count. One that took no time at
	// all prints nothing.
	end := func() {
		if last != "" && !printed.IsZero() && !live {
			write(last)
		}
	}
	return func(now string, done, total int) {
			if now != stage {
				end()
				stage, started, printed = now, time.Now(), time.Time{}
			}
			every := 5 * time.Second
			if live {
				every = 100 * time.Millisecond
			}
			left := ""
			if spent := time.Since(started); done > 0 && done < total && spent > time.Second {
				left = fmt.Sprintf(", %s left", (spent / time.Duration(done) * time.Duration(total-done)).Round(time.Second))
			}
			last = fmt.Sprintf("%s: %d of %d%s", names[stage], done, total, left)
			if live {
				last = bar(done, total) + " " + last
			}
			if time.Since(printed) < every && done != total || !live && done == total && printed.IsZero() {
				return
			}
			printed = time.Now()
			write(last)
		}, func() {
			end()
			if live {
				fmt.Fprint(w, "\r\x1b[K")
			}
		}
}

// barCells is the width of a progress bar, in columns.
const barCells = 20

// bar draws how far done is on the way to total: [=====               ].
func bar(done, total int) string {
	full := barCells * min(max(done, 0), total) / max(total, 1)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", barCells-full) + "]"
}
