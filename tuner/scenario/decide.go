package scenario

import (
	"encoding/json"
	"io"
)

// Decide runs every scenario in r and writes one JSON line per observation to w, with one Write
// each, as soon as it is decided. A scenario that cannot be read or run becomes a Failure line, and
// the others still run; failed counts them. The error is that of reading r or writing w.
func Decide(r io.Reader, w io.Writer, o Options) (failed int, err error) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	err = Split(r, func(data []byte) error {
		s, err := o.Parse(data)
		if err == nil {
			err = s.Validate()
		}
		if err == nil {
			_, err = s.Runner()
		}
		if err != nil {
			failed++
			return enc.Encode(Failure{ID: ReadID(data), ScenarioError: err.Error()})
		}
		return Run(s, func(l *Line) error { return enc.Encode(l) })
	})
	return failed, err
}
