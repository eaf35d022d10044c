package profiles

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/parquet-go/parquet-go"
)

// parquet reads the columns of a Parquet file; a problem's line is the row,
// from 1. f is read at random where it can be, otherwise whole.
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
			return fmt.Errorf("more than %d bytes, and no way to read parts of it", most)
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
	var index [3]int
	for i, c := range columns {
		leaf, ok := file.Schema().Lookup(c)
		if index[i] = leaf.ColumnIndex; !ok {
			index[i] = -1
		}
	}
	if index[0] < 0 {
		return errors.New("no column t_s")
	}
	n := 0
	for _, g := range file.RowGroups() {
		if n, err = r.group(name, g, index, n); err != nil {
			return err
		}
	}
	return nil
}

// footer checks the length that a file's last bytes claim for its footer:
// parquet-go makes room for as much before it reads.
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

func (r *recording) group(name string, g parquet.RowGroup, index [3]int, n int) (int, error) {
	rows := g.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, 256)
	for {
		got, err := rows.ReadRows(buf)
		for _, rec := range buf[:got] {
			n++
			var v [3]float64
			for _, cell := range rec {
				for i, want := range index {
					if want >= 0 && cell.Column() == want && !cell.IsNull() {
						v[i] = number(cell)
					}
				}
			}
			if err := r.add(name, n, v[0], v[1], v[2]); err != nil {
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
