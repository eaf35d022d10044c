package fit

import "fmt"

// notes is what a part of the fit has to say beside its value.
type notes struct {
	assumed, warnings []string
	qualities         []Quality
	doubts            []Doubt
}

func (n *notes) warn(format string, args ...any) {
	n.warnings = append(n.warnings, fmt.Sprintf(format, args...))
}

func (n *notes) assume(format string, args ...any) {
	n.assumed = append(n.assumed, fmt.Sprintf(format, args...))
}

func (n *notes) quality(part string, value float64, count int, format string, args ...any) {
	n.qualities = append(n.qualities, Quality{part, value, count, fmt.Sprintf(format, args...)})
}

func (n *notes) doubt(id, settledBy, format string, args ...any) {
	n.doubts = append(n.doubts, Doubt{id, fmt.Sprintf(format, args...), settledBy})
}

// add appends what another part had to say.
func (n *notes) add(o notes) {
	n.assumed = append(n.assumed, o.assumed...)
	n.warnings = append(n.warnings, o.warnings...)
	n.qualities = append(n.qualities, o.qualities...)
	n.doubts = append(n.doubts, o.doubts...)
}
