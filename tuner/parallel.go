package tuner

import (
	"context"
	"runtime"
	"sync"

	"github.com/hpatune/hpatune/tuner/replay"
)

// scratches are the memory of workers between calls of parallel. A day of many steps takes
// megabytes, and a search calls it hundreds of times.
var scratches = sync.Pool{New: func() any { return new(replay.Scratch) }}

// parallel calls work(i) for 0 ≤ i < n on as many workers as there are cores,
// each with its own scratch, and progress with the number done. It stops early
// when ctx is done and returns its error.
func parallel(ctx context.Context, n int, progress func(done int), work func(i int, s *replay.Scratch)) error {
	var (
		mu   sync.Mutex
		next int
		done int
		wg   sync.WaitGroup
	)
	for range max(1, min(runtime.GOMAXPROCS(0), n)) {
		wg.Go(func() {
			s := scratches.Get().(*replay.Scratch)
			defer scratches.Put(s)
			for ctx.Err() == nil {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				work(i, s)
				mu.Lock()
				done++
				if progress != nil {
					progress(done)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
