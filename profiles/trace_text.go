package profiles

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
)

// columns are those of a trace, in every format. Others are left alone.
var columns = []string{"t_s", "input_tokens", "output_tokens"}

// csv reads a header and rows. Token columns may be missing or empty.
func (r *recording) csv(file string, in io.Reader) error {
	read := csv.NewReader(in)
	read.ReuseRecord = true
	read.FieldsPerRecord = -1 // rows are checked one by one, each with its line
	head, err := read.Read()
	if err != nil {
		return unended(err)
	}
	var at [3]int
	for i, name := range columns {
		at[i] = -1
		for j, h := range head {
			if strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")) == name {
				at[i] = j
			}
		}
	}
	if at[0] < 0 {
		found := short(strings.Join(head, ","))
		try := "a first line of t_s,input_tokens,output_tokens"
		for _, h := range head {
			if source.Nearest(h, columns[:1]) != "" {
				try = "rename " + h + " to t_s"
			}
		}
		r.bad(file, 1, "", fmt.Sprintf("no column t_s in the header %q", found), try)
		return nil
	}
	for {
		rec, err := read.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				r.bad(file, pe.Line, "", pe.Err.Error(), "plain numbers, separated by commas")
				continue
			}
			return unended(err)
		}
		line, _ := read.FieldPos(0)
		var v [3]float64
		bad := false
		for i, name := range columns {
			if at[i] < 0 {
				continue
			}
			text := ""
			if at[i] < len(rec) {
				text = strings.TrimSpace(rec[at[i]])
			}
			if text == "" && i > 0 {
				continue
			}
			if v[i], err = strconv.ParseFloat(text, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
				r.bad(file, line, name, fmt.Sprintf("%q is not a number", short(text)), "")
				bad = true
			}
		}
		if !bad {
			if err := r.add(file, line, v[0], v[1], v[2]); err != nil {
				return err
			}
		}
	}
}

func unended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends in the middle: the file is cut off")
	}
	if errors.Is(err, io.EOF) {
		return errors.New("is empty")
	}
	return err
}

// jsonl reads an object a line: {"t_s":0.5,"input_tokens":374,"output_tokens":44}.
func (r *recording) jsonl(file string, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), 1<<20) // a line with its prompt may be long
	for n := 1; lines.Scan(); n++ {
		b := bytes.TrimSpace(lines.Bytes())
		if len(b) == 0 {
			continue
		}
		var v struct {
			T   *float64 `json:"t_s"`
			In  float64  `json:"input_tokens"`
			Out float64  `json:"output_tokens"`
		}
		if err := json.Unmarshal(b, &v); err != nil {
			r.bad(file, n, "", "not a JSON object with numbers: "+err.Error(), `{"t_s":0.5,"input_tokens":374,"output_tokens":44}`)
			continue
		}
		if v.T == nil {
			r.bad(file, n, "t_s", "is missing", `{"t_s":0.5,"input_tokens":374,"output_tokens":44}`)
			continue
		}
		if err := r.add(file, n, *v.T, v.In, v.Out); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return unended(err)
	}
	return nil
}
