package logs

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

type tableRow struct {
	at     map[string]int
	fields []string
}

func (r tableRow) get(column string) (string, bool) {
	i, ok := r.at[column]
	if !ok || i >= len(r.fields) {
		return "", false
	}
	return r.fields[i], true
}

// table reads a header and rows, divided by commas, semicolons or tabs.
func (l *Log) table(b *bufio.Reader, first string, o Options) error {
	comma := ','
	for _, c := range []rune{'\t', ';'} {
		if strings.Count(first, string(c)) > strings.Count(first, string(comma)) {
			comma = c
		}
	}
	if !strings.ContainsRune(first, comma) {
		return ErrFormat
	}
	read := csv.NewReader(b)
	read.Comma = comma
	read.ReuseRecord = true
	read.FieldsPerRecord = -1
	read.LazyQuotes = true
	head, err := read.Read()
	if err != nil {
		return err
	}
	columns := make([]string, len(head))
	r := tableRow{at: map[string]int{}}
	for i, c := range head {
		columns[i] = strings.Clone(c)
		if _, twice := r.at[c]; !twice {
			r.at[columns[i]] = i
		}
	}
	for i, c := range columns {
		if first := slices.Index(columns, c); c != "" && first < i {
			return fmt.Errorf("columns %d and %d are both named %s; rename or remove one of them", first+1, i+1, short(c))
		}
	}
	m, err := mapped(columns, o.Columns)
	if err != nil {
		return err
	}
	if _, ok := m["t"]; !ok {
		return fmt.Errorf("the header %q has no arrival time; try --columns "+
			"t=NAME,input=NAME,output=NAME,first=NAME,last=NAME", short(strings.Join(columns, string(comma))))
	}
	l.Format = "table"
	for {
		rec, err := read.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				l.bad(pe.Line, "%v", pe.Err)
				continue
			}
			return err
		}
		line, _ := read.FieldPos(0)
		r.fields = rec
		e, reason := m.entry(line, r)
		if reason != "" {
			l.bad(line, "%s", reason)
			continue
		}
		e.Backend, e.Class = strings.Clone(e.Backend), strings.Clone(e.Class)
		l.add(e)
	}
}
