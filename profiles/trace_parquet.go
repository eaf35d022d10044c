package profiles

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquet reads the columns of a Parquet file; a problem's line is the row, from 1. f is
// read at random if possible, otherwise completely.
func (r *recording) parquet(name string, f fs.File, in io.Reader) (err error) {
	defer func() {
		// parquet-go panics on some damaged files; a trace is input, not code.
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged Parquet: %v", p)
		}
	}()
	at, ok := f.(io.ReaderAt)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if !ok {
		const most = 512 << 20
		b, err := io.ReadAll(io.LimitReader(in, most+1))
		if err != nil {
			return err
		}
		if len(b) > most {
			return fmt.Errorf("more than %d bytes in a file that cannot be read in parts", most)
		}
		at, size = bytes.NewReader(b), int64(len(b))
	}
	if err := footer(at, size); err != nil {
		return err
	}
	file, err := parquet.OpenFile(at, size)
	if err != nil {
		return fmt.Errorf("damaged Parquet: %w", err)
	}
	var names []string
	for _, f := range file.Schema().Fields() {
		names = append(names, f.Name())
	}
	if !r.recognise(names) {
		return errors.New("no column " + r.layout.columns[0])
	}
	var index [3]int
	var unit time.Duration // of a column of dates
	for i, c := range r.layout.columns {
		leaf, ok := file.Schema().Lookup(c)
		if index[i] = leaf.ColumnIndex; !ok {
			if index[i] = -1; r.mapped(i) {
				return errors.New("no column " + c)
			}
			continue
		}
		if t := leaf.Node.Type().LogicalType(); i == 0 && t != nil {
			if stamp, is := t.Value.(*format.TimestampType); is && stamp.Unit.Value != nil {
				unit = stamp.Unit.Value.Duration()
			}
		}
	}
	n := 0
	for _, g := range file.RowGroups() {
		if n, err = r.group(name, g, index, unit, n); err != nil {
			return err
		}
	}
	return nil
}

// footer checks the footer length that a file's last bytes claim, since parquet-go
// allocates that much before it reads.
func footer(at io.ReaderAt, size int64) error {
	var b [8]byte
	if size < 12 {
		return errors.New("damaged Parquet: too short")
	}
	if _, err := at.ReadAt(b[:], size-8); err != nil {
		return fmt.Errorf("damaged Parquet: %w", err)
	}
	if n := int64(binary.LittleEndian.Uint32(b[:4])); string(b[4:]) != "PAR1" || n > size-12 {
		return errors.New("damaged Parquet: cut off, or no footer")
	}
	return nil
}

func (r *recording) group(name string, g parquet.RowGroup, index [3]int, unit time.Duration, n int) (int, error) {
	rows := g.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, 256)
	for {
		got, err := rows.ReadRows(buf)
		for _, rec := range buf[:got] {
			n++
			var v [3]tally
			var date string
			for _, cell := range rec {
				for i, want := range index {
					if want < 0 || cell.Column() != want || cell.IsNull() {
						continue
					}
					if k := cell.Kind(); i == 0 && (k == parquet.ByteArray || k == parquet.FixedLenByteArray) {
						date = cell.String()
					} else {
						v[i] = tally{number(cell), true}
					}
				}
			}
			t := v[0].n
			switch {
			case date != "":
				if t, err = r.instant(date); err != nil {
					r.bad(name, n, r.layout.columns[0], err.Error(), "")
					continue
				}
			case !v[0].said:
				r.bad(name, n, r.layout.columns[0], "is missing", "")
				continue
			case unit > 0:
				t = r.since(time.Unix(0, 0).Add(time.Duration(t) * unit))
			default:
				t = r.number(t)
			}
			if err := r.add(name, n, t, v[1], v[2]); err != nil {
				return n, err
			}
		}
		if errors.Is(err, io.EOF) || (err == nil && got == 0) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("damaged Parquet: %w", err)
		}
	}
}

// number is a cell of any numeric kind; NaN for others, which add then names.
func number(v parquet.Value) float64 {
	switch v.Kind() {
	case parquet.Int32:
		return float64(v.Int32())
	case parquet.Int64:
		return float64(v.Int64())
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	}
	return math.NaN()
}
