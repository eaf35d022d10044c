package profiles

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
)

// csv reads a header and rows. Token columns may be missing or empty.
func (r *recording) csv(file string, in io.Reader) error {
	read := csv.NewReader(in)
	read.ReuseRecord = true
	read.FieldsPerRecord = -1 // rows are checked one by one, each with its line
	head, err := read.Read()
	if err != nil {
		return unended(err)
	}
	names := make([]string, len(head))
	for i, h := range head {
		names[i] = strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))
	}
	for i, n := range names {
		if first := slices.Index(names, n); n != "" && first < i {
			r.bad(
				file,
				1,
				"",
				fmt.Sprintf("columns %d and %d are both named %s", first+1, i+1, short(n)),
				"rename or remove one of them",
			)
			return nil
		}
	}
	if !r.recognise(names) {
		text, try := r.noTime(names)
		r.bad(file, 1, "", text, try)
		return nil
	}
	var at [3]int
	for i, name := range r.layout.columns {
		if at[i] = slices.Index(names, name); at[i] < 0 && r.mapped(i) {
			r.bad(
				file,
				1,
				"",
				fmt.Sprintf("no column %s in the header", name),
				columnsOf(names),
			)
			return nil
		}
	}
	for {
		rec, err := read.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				r.bad(file, pe.Line, "", pe.Err.Error(), "numbers, separated by commas")
				continue
			}
			return unended(err)
		}
		line, _ := read.FieldPos(0)
		field := func(i int) string {
			if at[i] < 0 || at[i] >= len(rec) {
				return ""
			}
			return strings.TrimSpace(rec[at[i]])
		}
		if err := r.row(file, line, field(0), field(1), field(2)); err != nil {
			return err
		}
	}
}

// mapped reports whether the profile names column i itself.
func (r *recording) mapped(i int) bool {
	return [3]string{r.said.columns.T, r.said.columns.Input, r.said.columns.Output}[i] != ""
}

// row reads a row from its texts; "" = no token count.
func (r *recording) row(file string, line int, t, in, out string) error {
	bad := false
	say := func(i int, err error) {
		bad = true
		var h *source.Hint
		if errors.As(err, &h) {
			r.bad(file, line, r.layout.columns[i], h.Text, h.Try)
		}
	}
	at, err := r.instant(t)
	if err != nil {
		say(0, err)
	}
	var counts [2]tally
	for i, text := range []string{in, out} {
		if text == "" {
			continue
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			say(i+1, &source.Hint{Text: fmt.Sprintf("%q is not a number", short(text))})
		}
		counts[i] = tally{n, true}
	}
	if bad {
		return nil
	}
	return r.add(file, line, at, counts[0], counts[1])
}

func unended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is cut off: it ends in the middle")
	}
	if errors.Is(err, io.EOF) {
		return errors.New("is empty")
	}
	return err
}

const exampleRow = `{"t_s":0.5,"input_tokens":374,"output_tokens":44}`

// jsonl reads an object a line: {"t_s":0.5,"input_tokens":374,"output_tokens":44}.
// The first line tells the layout.
func (r *recording) jsonl(file string, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), 16<<20) // a line with its prompt may be long
	var fields reflect.Type
	for n := 1; lines.Scan(); n++ {
		b := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(b) == 0 {
			continue
		}
		if b[0] != '{' {
			r.bad(file, n, "", fmt.Sprintf("is %s, should be an object", short(string(b))), exampleRow)
			continue
		}
		if fields == nil {
			var names map[string]json.RawMessage
			if json.Unmarshal(b, &names) == nil {
				r.recognise(slices.Sorted(maps.Keys(names)))
				fields = rowFields(r.layout)
			}
		}
		if fields == nil {
			fields = rowFields(own)
		}
		v := reflect.New(fields)
		if err := json.Unmarshal(b, v.Interface()); err != nil {
			r.bad(file, n, "", "is not JSON: "+err.Error(), exampleRow)
			continue
		}
		if err := r.object(file, n, v.Elem()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return unended(err)
	}
	return nil
}

// rowFields is a struct with a layout's three fields, so that the others (a
// prompt, a list of hashes) are skipped without being kept.
func rowFields(l layout) reflect.Type {
	var fields []reflect.StructField
	for i, name := range l.columns {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf(
				"F%d",
				i,
			),
			Type: reflect.TypeFor[json.RawMessage](),
			Tag:  reflect.StructTag(fmt.Sprintf("json:%q", name)),
		})
	}
	return reflect.StructOf(fields)
}

// object reads a row from the three fields of an object.
func (r *recording) object(file string, line int, fields reflect.Value) error {
	var texts [3]string
	for i, name := range r.layout.columns {
		raw := fields.Field(i).Bytes()
		switch {
		case len(raw) == 0 || string(raw) == "null":
		case raw[0] == '"' && i == 0 && r.layout.time == "rfc3339":
			if err := json.Unmarshal(raw, &texts[i]); err != nil {
				return err
			}
		case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
			texts[i] = string(raw)
		default:
			try := exampleRow
			if raw[0] == '"' {
				try = "the number without quotes: " + strings.Trim(short(string(raw)), `"`)
				if _, err := parseDate(strings.Trim(string(raw), `"`)); i == 0 && err == nil {
					try = "time: rfc3339 in the profile"
				}
			}
			r.bad(file, line, name, fmt.Sprintf("is %s, should be a number", short(string(raw))), try)
			return nil
		}
	}
	if texts[0] == "" {
		r.bad(
			file,
			line,
			r.layout.columns[0],
			"is missing",
			exampleRow+"; or name the fields in the profile: columns: {t: …, input: …, output: …}",
		)
		return nil
	}
	return r.row(file, line, texts[0], texts[1], texts[2])
}
