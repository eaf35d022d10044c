package live

import (
	"fmt"
	"io"
	"time"
)

// Progress returns a sink for long work: candidates done and time left. On a
// terminal (live) it is one line that is drawn over; piped, a plain line a stage and
// every five seconds.
func Progress(w io.Writer, live bool) (report func(stage string, done, total int), finish func()) {
	names := map[string]string{
		"fit":      "fitting the model",
		"search":   "searching",
		"rank":     "ranking candidates",
		"simplify": "removing changes without effect",
		"effect":   "measuring the effect of each change",
		"margin":   "finding the load margin",
		"signals":  "trying other signals",
		"what-if":  "asking what would change it",
	}
	var (
		stage   string
		started time.Time
		printed time.Time
	)
	return func(now string, done, total int) {
			if now != stage {
				stage, started, printed = now, time.Now(), time.Time{}
			}
			every := 5 * time.Second
			if live {
				every = 100 * time.Millisecond
			}
			if time.Since(printed) < every && done != total || !live && done == total && printed.IsZero() {
				return
			}
			printed = time.Now()
			left := ""
			if spent := time.Since(started); done > 0 && done < total && spent > time.Second {
				left = fmt.Sprintf(", %s left", (spent / time.Duration(done) * time.Duration(total-done)).Round(time.Second))
			}
			text := fmt.Sprintf("%s: %d of %d%s", names[stage], done, total, left)
			if live {
				fmt.Fprintf(w, "\r\x1b[K%s", text)
			} else {
				fmt.Fprintln(w, text)
			}
		}, func() {
			if live {
				fmt.Fprint(w, "\r\x1b[K")
			}
		}
}
