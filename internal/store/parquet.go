package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/parquet-go/parquet-go"
)

// schemaKey says in a file's metadata which version of the format it is.
const schemaKey = "hpatune.schema"

// encoder writes rows as Parquet, column by column: no reflection and, once
// warm, next to no allocation.
type encoder[T any] struct {
	cols     []column[T]
	schema   *parquet.Schema
	optional []bool // by column
	tables   *tables
	w        *parquet.GenericWriter[T]
	buf      bytes.Buffer
	values   [stroke]parquet.Value
	paths    [][]string // of the columns, as the writer holds them: see open
}

func newEncoder[T any](cols []column[T], schema *parquet.Schema, t *tables) *encoder[T] {
	e := &encoder[T]{cols: cols, schema: schema, tables: t}
	for _, f := range schema.Fields() {
		e.optional = append(e.optional, f.Optional())
	}
	return e
}

// open begins a file.
//
// Note: parquet-go 0.32's Reset clears the columns' paths, which the last
// footer shares with the next; without them only readers that find columns by
// their place can read the file. They are put back. A writer a file would do
// without this, but takes 15 % longer, and a megabyte a part.
func (e *encoder[T]) open(out io.Writer) {
	if e.w != nil {
		e.w.Reset(out)
		for i, path := range e.paths {
			path[0] = e.cols[i].name
		}
		return
	}
	options := []parquet.WriterOption{
		e.schema,
		parquet.DataPageStatistics(false),
		parquet.KeyValueMetadata(schemaKey, results.Schema),
		parquet.CreatedBy("hpatune", "", ""),
	}
	for i := range e.cols {
		if e.cols[i].text != nil { // nobody looks for a range of names
			options = append(options, parquet.SkipPageBounds(e.cols[i].name))
		}
	}
	e.w = parquet.NewGenericWriter[T](out, options...)
}

// bytes returns rows as one file. The result is good until the next call.
func (e *encoder[T]) bytes(rows []T) []byte {
	e.buf.Reset()
	e.open(&e.buf)
	// A bytes.Buffer does not fail.
	_ = e.append(rows)
	_ = e.w.Close()
	if groups := e.w.File().Metadata().RowGroups; e.paths == nil && len(groups) > 0 {
		for _, c := range groups[0].Columns {
			e.paths = append(e.paths, c.MetaData.PathInSchema)
		}
	}
	return e.buf.Bytes()
}

// stroke is how many rows are taken through all columns at a time: 256 of 112
// bytes stay in the first-level cache (measured: 1024 take 1.6 × as long).
const stroke = 256

// append adds rows to the open file.
func (e *encoder[T]) append(rows []T) error {
	writers := e.w.ColumnWriters()
	for len(rows) > 0 {
		chunk := rows[:min(stroke, len(rows))]
		rows = rows[len(chunk):]
		values := e.values[:len(chunk)]
		for i := range e.cols {
			col := &e.cols[i]
			col.values(values, e.tables, chunk, e.optional[i])
			if _, err := writers[i].WriteRowValues(values); err != nil {
				return fmt.Errorf("column %s: %w", col.name, err)
			}
		}
	}
	return nil
}

// values fills values with the column of rows.
func (c *column[T]) values(values []parquet.Value, t *tables, rows []T, optional bool) {
	level := 0 // of a value that is there
	if optional {
		level = 1
	}
	switch {
	case c.num != nil:
		for j := range rows {
			n, ok := c.num(t, &rows[j])
			if ok || !optional {
				values[j] = parquet.Int64Value(n)
				values[j].SetDefinitionLevel(level)
			} else {
				values[j] = parquet.Value{}
			}
		}
	case c.text != nil:
		for j := range rows {
			name, ok := c.text(t, &rows[j])
			if ok || !optional {
				values[j] = parquet.ByteArrayValue(name)
				values[j].SetDefinitionLevel(level)
			} else {
				values[j] = parquet.Value{}
			}
		}
	case c.flag != nil:
		for j := range rows {
			values[j] = parquet.BooleanValue(c.flag(&rows[j]))
		}
	default:
		for j := range rows {
			values[j] = parquet.DoubleValue(c.float(&rows[j]))
		}
	}
}

// decode appends the rows of one file to rows. It finds columns by name: a file may have
// more, and those it lacks keep their zero (or none). After an error, rows are unchanged.
func decode[T any](rows []T, data []byte, cols []column[T], t *tables) (all []T, err error) {
	defer func() {
		// A damaged file may make the decoder panic; that is a bad file, not a bug.
		if p := recover(); p != nil {
			all, err = rows, fmt.Errorf("parquet: damaged: %v", p)
		}
	}()
	f, err := parquet.OpenFile(
		bytes.NewReader(data),
		int64(len(data)),
		parquet.SkipPageIndex(true),
		parquet.SkipBloomFilters(true),
	)
	if err != nil {
		return rows, fmt.Errorf("parquet: %w", err)
	}
	// A row takes more than a thousandth of a byte; a higher count means damage.
	if n := f.NumRows(); n < 0 || n > 1000*int64(len(data)) {
		return rows, fmt.Errorf("parquet: damaged: claims %d rows in %d bytes", n, len(data))
	}
	all = slices.Grow(rows, int(f.NumRows()))[:len(rows)+int(f.NumRows())]
	added := all[len(rows):]
	clear(added)
	names := make([]string, 0, len(f.Schema().Fields()))
	for _, field := range f.Schema().Fields() {
		names = append(names, field.Name())
	}
	var buf [stroke]parquet.Value
	for _, col := range cols {
		c := slices.Index(names, col.name)
		if c < 0 {
			for i := range added {
				col.get(t, &added[i], parquet.Value{})
			}
			continue
		}
		at := 0
		for _, group := range f.RowGroups() {
			if at, err = decodeColumn(group.ColumnChunks()[c], col, t, added, at, buf[:]); err != nil {
				return rows, fmt.Errorf("parquet: column %s: %w", col.name, err)
			}
		}
		if at != len(added) {
			return rows, fmt.Errorf("parquet: column %s: %d values in %d rows", col.name, at, len(added))
		}
	}
	return all, nil
}

func decodeColumn[T any](
	chunk parquet.ColumnChunk,
	col column[T],
	t *tables,
	rows []T,
	at int,
	buf []parquet.Value,
) (int, error) {
	pages := chunk.Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return at, nil
		}
		if err != nil {
			return at, err
		}
		values := page.Values()
		for {
			n, err := values.ReadValues(buf)
			for _, v := range buf[:n] {
				if at == len(rows) {
					return at, errors.New("more values than rows")
				}
				col.get(t, &rows[at], v)
				at++
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return at, err
			}
		}
		parquet.Release(page)
	}
}
