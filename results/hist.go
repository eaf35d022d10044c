package results

// Hist is a mergeable histogram of durations (placeholder until hist.go lands).
type Hist struct{}
