package scenario

import (
	"encoding/json"
	"io"
)

// Decide runs every scenario that r holds and writes a JSON line per observation to w, one Write
// each, as soon as it is decided. A scenario that cannot be read or run becomes a Failure line,
// and the others still run; failed is how many did. The error is of reading r or writing w.
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
