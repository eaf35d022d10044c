package profiles

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Published traces are read as they are, and say as what.
func TestPublishedTraces(t *testing.T) {
	type dated struct {
		At  time.Time `parquet:"when,timestamp(microsecond)"`
		In  int64     `parquet:"input_tokens"`
		Out int64     `parquet:"output_tokens"`
	}
	var dates bytes.Buffer
	day := time.Date(2024, 5, 10, 0, 0, 0, 0, time.UTC)
	if err := parquet.Write(&dates, []dated{{day, 480, 10}, {day.Add(1500 * time.Millisecond), 318, 8}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file, text string
		how              string // further fields of the trace
		want             string // rows
		note             string
	}{
		{"Azure 2023", "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,480,10\n2023-11-16 18:17:04.0319600,318,8\n", "",
			"0s 480 10, 52ms 318 8", "a.csv: read as a trace of Azure LLM inference: columns TIMESTAMP, ContextTokens, GeneratedTokens, times in rfc3339, counted from the first row"},
		{"Azure 2024, with zones", "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,480,10\n2024-05-10 02:00:01.509930+02:00,318,8\n", "",
			"0s 480 10, 1.5s 318 8", "Azure"},
		{"Azure over midnight", "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 23:59:59Z,1,2\n2024-05-11 00:00:01 UTC,3,4\n", "", "0s 1 2, 2s 3 4", "Azure"},
		{"BurstGPT", "b.csv", "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,230,1317,Conversation log\n", "",
			"5s 472 18, 45s 1087 230", "BurstGPT"},
		{"BurstGPT, with sessions", "b.csv", "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n5.5,s,1.2,GPT-4,472,18,490,API log\n", "", "5.5s 472 18", "BurstGPT"},
		{"ServeGen", "s.csv", "request_id,timestamp,input_tokens,output_tokens\n0,0.132,412,80\n2,1.902,77,311\n", "", "132ms 412 80, 1.902s 77 311", "ServeGen"},
		{"Mooncake", "m.jsonl", `{"timestamp": 0, "input_length": 655, "output_length": 52, "hash_ids": [0, 1]}` + "\n" + `{"timestamp": 500, "input_length": 672, "output_length": 26, "hash_ids": [0, 2]}`, "",
			"0s 655 52, 500ms 672 26", "Mooncake: columns timestamp, input_length, output_length, times in ms"},
		{"Bailian", "q.jsonl", `{"chat_id": 159, "parent_chat_id": 55, "timestamp": 61.114, "input_length": 521, "output_length": 132, "type": "text", "turn": 2, "hash_ids": [1]}`, "", "1m1.114s 521 132", "Bailian"},
		{"guidellm", "g.jsonl", `{"timestamp": 0.0, "input_length": 10, "output_length": 5}` + "\n" + `{"timestamp": 0.2, "input_length": 20, "output_length": 8}`, "", "0s 10 5, 200ms 20 8", "guidellm"},
		{"Mooncake without hashes, told", "g.jsonl", `{"timestamp": 200, "input_length": 20, "output_length": 8}`, "time: ms", "200ms 20 8", "times in ms"},
		{"a layout of one's own", "x.csv", "when,who,in,out\n100,a,1,2\n350,b,3,\n", "columns: {t: when, input: in, output: out}, time: ms", "100ms 1 2, 350ms 3 -1", "x.csv: read as the profile says: columns when, in, out, times in ms"},
		{"a layout of one's own in JSONL", "x.jsonl", `{"at":"2024-05-10T00:00:00Z","p":7}` + "\n" + `{"at":"2024-05-10T00:00:02.25Z","p":8}`, "columns: {t: at, input: p}, time: rfc3339", "0s 7 -1, 2.25s 8 -1", "x.jsonl: read as the profile says"},
		{"only one column is named", "x.csv", "when,input_tokens,output_tokens\n1,2,3\n", "columns: {t: when}", "1s 2 3", "when, input_tokens"},
		{"an epoch counts from the first row", "x.csv", "when\n1715299200.25\n1715299201.5\n", "columns: {t: when}", "0s -1 -1, 1.25s -1 -1", "counted from the first row"},
		{"an epoch in milliseconds, too", "x.csv", "when\n1715299200250\n1715299201500\n", "columns: {t: when}, time: ms", "0s -1 -1, 1.25s -1 -1", "counted from the first row"},
		{"dates of Parquet", "d.parquet", dates.String(), "columns: {t: when}", "0s 480 10, 1.5s 318 8", "counted from the first row"},
		{"our own says nothing", "t.csv", "t_s,input_tokens,output_tokens\n0.5,10,5\n", "", "500ms 10 5", ""},
		{"a token column of another name is told", "t.csv", "t_s,prompt_tokens,output_tokens\n0.5,10,5\n", "", "500ms -1 5", "t.csv: columns not read: prompt_tokens; the token counts of the class are sent instead"},
		{"in JSONL, too", "t.jsonl", `{"t_s":0.5,"prompt_tokens":10}`, "", "500ms -1 -1", "t.jsonl: columns not read: prompt_tokens"},
		{"0 tokens are a value", "t.csv", "t_s,input_tokens,output_tokens\n0.5,10,0\n1.25,0,8\n2,,3\n", "", "500ms 10 0, 1.25s 0 8, 2s -1 3", "t.csv: 2 of 3 rows have 0 tokens; they are sent with 1 token"},
	} {
		how := c.how
		if how != "" {
			how = ", " + how
		}
		p, err := Parse("p.yaml", fmt.Appendf(nil, "stages: [{trace: {file: %s%s}}]", c.file, how), fstest.MapFS{c.file: {Data: []byte(c.text)}})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var rows []string
		for _, r := range p.Stages[0].Trace.rows {
			rows = append(rows, fmt.Sprintf("%v %d %d", r.at, r.in, r.out))
		}
		if got := strings.Join(rows, ", "); got != c.want {
			t.Errorf("%s: rows %s, want %s", c.name, got, c.want)
		}
		if got := strings.Join(p.Notes, "; "); !strings.Contains(got, c.note) || (c.note == "") != (got == "") {
			t.Errorf("%s: notes %q, want %q", c.name, got, c.note)
		}
	}
}

// A trace's 0 is sent as 1, whatever the class says; what it does not say comes
// from the class.
func TestZeroTokensOfATraceAreSentAsOne(t *testing.T) {
	p, err := Parse("p.yaml", []byte("classes: [{name: a, prompt_tokens: 7, output_tokens: 9}]\nstages: [{trace: {file: t.csv}}]"),
		fstest.MapFS{"t.csv": {Data: []byte("t_s,input_tokens,output_tokens\n0.5,10,0\n1.25,0,8\n2,,\n")}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for a := range p.Arrivals(1) {
		got = append(got, fmt.Sprint(a.Prompt, a.Max))
	}
	if want := "10 1, 1 8, 7 9"; strings.Join(got, ", ") != want {
		t.Errorf("sent %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestTracesThatCannotBeReadSayWhatToDo(t *testing.T) {
	for _, c := range []struct{ name, file, text, how, want string }{
		{"a JSON list", "a.json", "[{\"t_s\":0.5}]", "", "p.yaml:1: stages[0].trace.file: a.json: is one JSON list\n  Try: one object per line: jq -c '.[]' a.json > trace.jsonl"},
		{"numbers as text", "a.jsonl", `{"t_s":"1.5"}`, "", "a.jsonl:1: t_s: is \"1.5\", should be a number\n  Try: the number without quotes: 1.5"},
		{"tokens as text", "a.jsonl", `{"t_s":1.5,"input_tokens":"20"}`, "", "a.jsonl:1: input_tokens: is \"20\", should be a number\n  Try: the number without quotes: 20"},
		{"a list as a time", "a.jsonl", `{"t_s":[1]}`, "", "a.jsonl:1: t_s: is [1], should be a number\n  Try: " + exampleRow},
		{"a line that is no object", "a.jsonl", "{\"t_s\":1}\n5\n", "", "a.jsonl:2: is 5, should be an object\n  Try: " + exampleRow},
		{"dates where seconds are expected", "a.csv", "timestamp,input_tokens,output_tokens\n2024-05-10 00:00:00,1,1\n", "", "a.csv:2: timestamp: \"2024-05-10 00:00:00\" is not a number\n  Try: time: rfc3339 in the profile"},
		{"dates of JSONL where seconds are expected", "a.jsonl", `{"t_s":"2024-05-10T00:00:00Z"}`, "", "a.jsonl:1: t_s: is \"2024-05-10T00:00:00Z\", should be a number\n  Try: time: rfc3339 in the profile"},
		{"a date that is none", "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n10.5.2024,1,1\n", "", "a.csv:2: TIMESTAMP: \"10.5.2024\" is not a date\n  Try: 2024-05-10T00:00:00.5Z"},
		{"dates out of order", "a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:01,1,1\n2024-05-10 00:00:00,1,1\n", "", "a.csv:3: TIMESTAMP: time -1 is before the row above, at 0\n  Try: sort the file by TIMESTAMP"},
		{"a column that is not there", "a.csv", "a,b\n1,2\n", "columns: {t: a, input: c}", "a.csv:1: no column c in the header\n  Try: a column that the file has: a, b"},
		{"a time column that is not there", "a.csv", "a,b\n1,2\n", "columns: {t: x}", "a.csv:1: no column x in the header\n  Try: a column that the file has: a, b"},
		{"an unknown unit", "a.csv", "t_s\n1\n", "time: minutes", "p.yaml:1: stages[0].trace.time: \"minutes\" is unknown\n  Try: s, ms, rfc3339"},
		{"an epoch in our own layout", "a.csv", "t_s\n1715299200\n", "", "a.csv:2: t_s: time 1.7152992e+09 is beyond a year\n  Try: seconds from the recording's start"},
		{"another header", "a.csv", "alpha,beta\n1,2\n", "", "a.csv:1: no column t_s in the header \"alpha,beta\"\n  Try: a first line of t_s,input_tokens,output_tokens; or name the columns in the profile: columns: {t: …, input: …, output: …}"},
		{"semicolons", "a.csv", "t_s;input_tokens\n0,5;1\n", "", "a.csv:1: no column t_s in the header \"t_s;input_tokens\"\n  Try: commas between the columns instead of \";\", and points in numbers"},
		{"tabs", "a.csv", "t_s\tx\n1\t1\n", "", "a.csv:1: no column t_s in the header \"t_s\\tx\"\n  Try: commas between the columns instead of \"\\t\", and points in numbers"},
		{"a negative count", "a.csv", "t_s,input_tokens\n1,-1\n", "", "a.csv:2: input_tokens: -1 is not a whole number from 0 to 100000000\n  Try: leave it empty if it is unknown"},
	} {
		how := c.how
		if how != "" {
			how = ", " + how
		}
		_, err := Parse("p.yaml", fmt.Appendf(nil, "stages: [{trace: {file: %s%s}}]", c.file, how), fstest.MapFS{c.file: {Data: []byte(c.text)}})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got\n%v\nwant\n%s", c.name, err, c.want)
		}
	}
}
