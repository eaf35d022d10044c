//go:build !linux

package main

import "time"

// bareSleep returns how late a bare sleep loop wakes, in µs: what the machine
// itself can do.
func bareSleep(rate int, d time.Duration) (late []float64) {
	begin, gap := time.Now(), time.Second/time.Duration(rate)
	for k := time.Duration(1); k*gap < d; k++ {
		time.Sleep(time.Until(begin.Add(k * gap)))
		late = append(late, micros(time.Since(begin)-k*gap))
	}
	return late
}
