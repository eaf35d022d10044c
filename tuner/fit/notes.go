package fit

import "fmt"

// notes is what a part of the fit reports beside its value.
type notes struct {
	assumed, warnings []string
	qualities         []Quality
	doubts            []Doubt
}

// warn adds a warning: the fit went on, and its result may be wrong.
func (n *notes) warn(format string, args ...any) {
	n.warnings = append(n.warnings, fmt.Sprintf(format, args...))
}

// assume adds an assumption: what the fit used in place of something that the run does not show.
func (n *notes) assume(format string, args ...any) {
	n.assumed = append(n.assumed, fmt.Sprintf(format, args...))
}

// quality adds how well a part was fitted: value, from count samples, and a sentence that says what value is.
func (n *notes) quality(part string, value float64, count int, format string, args ...any) {
	n.qualities = append(n.qualities, Quality{part, value, count, fmt.Sprintf(format, args...)})
}

// doubt adds what the run leaves open, by id; settledBy is the recording or setting that would settle it.
func (n *notes) doubt(id, settledBy, format string, args ...any) {
	n.doubts = append(n.doubts, Doubt{id, fmt.Sprintf(format, args...), settledBy})
}

// add appends the notes of another part.
func (n *notes) add(o notes) {
	n.assumed = append(n.assumed, o.assumed...)
	n.warnings = append(n.warnings, o.warnings...)
	n.qualities = append(n.qualities, o.qualities...)
	n.doubts = append(n.doubts, o.doubts...)
}
