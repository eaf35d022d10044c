package logs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Each row is one request that arrived two seconds after 2026-11-24T10:00:00Z
// (or after 0), had 100 prompt and 3 answer tokens, its first token after 250 ms
// and its last after 350 ms, in the words of one program.
func TestReadKnowsWhatProgramsWrite(t *testing.T) {
	const epoch = 1795514400.0 // 2026-11-24T10:00:00Z
	tests := []struct {
		sentence, text string
		o              Options
		format         string
		at             float64
		first, last    float64 // after the arrival; NaN = not told
		prompt, output int
	}{
		{"a table in seconds", "t_s,input_tokens,output_tokens,queued_s,scheduled_s,first_token_s,last_token_s\n2,100,3,2.01,2.02,2.25,2.35\n", Options{}, "table", 2, .25, .35, 100, 3},
		{"a table in milliseconds", "arrival_ms,prompt_tokens,completion_tokens,first_token_ms,last_token_ms\n2000,100,3,2250,2350\n", Options{}, "table", 2, .25, .35, 100, 3},
		{"a table by the wall clock, divided by semicolons", "timestamp;input_len;output_len;ttft_ms;e2e_ms\n2026-11-24T10:00:02Z;100;3;250;350\n", Options{}, "table", epoch + 2, .25, .35, 100, 3},
		{"a table by tabs with a Unix time in milliseconds", "start_time\tprompt_len\toutput_len\tttft\tlatency\n1795514402000\t100\t3\t0.25\t0.35\n", Options{}, "table", epoch + 2, .25, .35, 100, 3},
		{"columns that nobody knows, told", "wann,rein,raus,warten,dauer\n2000,100,3,250,350\n",
			Options{Columns: map[string]string{"t": "wann:ms", "input": "rein", "output": "raus", "first": "+warten:ms", "done": "+dauer:ms"}}, "table", 2, .25, .35, 100, 3},
		{"JSON lines", `{"arrival_time":2,"prompt_tokens":100,"usage":{"completion_tokens":3},"first_token_time":2.25,"finished_time":2.35}` + "\n", Options{}, "JSON lines", 2, .25, .35, 100, 3},
		{"vLLM's statistics, whose arrival is told by another clock", `{"arrival_time":1795514402.0,"queued_ts":2,"scheduled_ts":2.1,"first_token_ts":2.25,"last_token_ts":2.35,"num_prompt_tokens":100,"num_generation_tokens":3}` + "\n",
			Options{}, "JSON lines", 2, .25, .35, 100, 3},
		{"vllm bench serve", `{"date":"x","input_lens":[100],"output_lens":[3],"ttfts":[0.25],"itls":[[0.04,0.06]],"start_times":[2],"generated_texts":["abc"],"errors":[""]}`,
			Options{}, "vllm bench serve", 2, .25, .35, 100, 3},
		{"guidellm, old", `{"benchmarks":[{"requests":{"successful":[{"request_id":"a","prompt_tokens":100,"output_tokens":3,"start_time":2,"first_token_time":2.25,"last_token_time":2.35,"end_time":2.35}]}}]}`,
			Options{}, "guidellm", 2, .25, .35, 100, 3},
		{"guidellm, new", `{"metadata":{"version":1},"benchmarks":[{"requests":{"successful":[{"type_":"generative_request_stats","prompt_tokens":100,"output_tokens":3,"time_to_first_token_ms":250,` +
			`"info":{"status":"completed","timings":{"request_start":2,"first_token_iteration":2.25,"last_token_iteration":2.35,"request_end":2.36}}}]}}]}`,
			Options{}, "guidellm", 2, .25, .35, 100, 3},
		{"aiperf", `{"metadata":{"request_start_ns":1795514402000000000,"request_ack_ns":1,"request_end_ns":1795514402350000000,"benchmark_phase":"profiling","was_cancelled":false},` +
			`"metrics":{"input_sequence_length":{"value":100,"unit":"tokens"},"output_sequence_length":{"value":3,"unit":"tokens"},"time_to_first_token":{"value":250,"unit":"ms"},` +
			`"request_latency":{"value":350,"unit":"ms"}},"error":null}` + "\n", Options{}, "aiperf", epoch + 2, .25, .35, 100, 3},
		{"inference-perf, old", `[{"start_time":2,"end_time":2.36,"request":"{\"prompt\":\"x\"}","info":{"input_tokens":100,"output_tokens":3,"output_token_times":[2.25,2.29,2.35]},"error":null}]`,
			Options{}, "JSON list", 2, .25, .35, 100, 3},
		{"inference-perf, new", `[{"scheduled_time":1.99,"start_time":2,"end_time":2.36,"info":{"request_metrics":{"text":{"input_tokens":100}},"response_metrics":{"output_tokens":3,"output_token_times":[2.25,2.29,2.35]}},"error":null}]`,
			Options{}, "JSON list", 2, .25, .35, 100, 3},
		{"nginx with its end in milliseconds", "1795514402.350 0.350 200 10.0.0.7:8000\n", Options{Format: "$msec $request_time $status $upstream_addr"}, "nginx access log", epoch + 2, math.NaN(), .35, 0, 0},
		{"nginx with tokens from a response header", "1795514402.350 0.350 200 100 3\n",
			Options{Format: "$msec $request_time $status $sent_http_x_prompt_tokens $sent_http_x_tokens", Columns: map[string]string{"input": "sent_http_x_prompt_tokens", "output": "sent_http_x_tokens"}},
			"nginx access log", epoch + 2, math.NaN(), .35, 100, 3},
		{"Envoy by default", `[2026-11-24T10:00:02.000Z] "POST /v1/chat/completions HTTP/1.1" 200 - 100 300 350 349 "-" "curl" "id" "host" "10.0.0.7:8000"` + "\n",
			Options{}, "Envoy access log", epoch + 2, math.NaN(), .35, 0, 0},
		{"Envoy as an AI gateway logs", `{"t":"2026-11-24T10:00:02.000Z","d":350,"in":100,"out":3}` + "\n",
			Options{Format: `{"t":"%START_TIME%","d":%DURATION%,"in":%DYNAMIC_METADATA(io.envoy.ai_gateway:llm_input_token)%,"out":%DYNAMIC_METADATA(io.envoy.ai_gateway:llm_output_token)%}`},
			"Envoy access log", epoch + 2, math.NaN(), .35, 100, 3},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			l, err := Read(strings.NewReader(tt.text), "f", tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if len(l.Bad) != 0 || len(l.Entries) != 1 || l.Format != tt.format {
				t.Fatalf("got %d requests, %v bad, format %q, want 1, none, %q", len(l.Entries), l.Bad, l.Format, tt.format)
			}
			_, requests, _ := Run("f", []Log{l})
			r := requests[0]
			after := func(d time.Duration) float64 {
				if !results.Happened(d) {
					return math.NaN()
				}
				return (d - r.Scheduled).Seconds()
			}
			last := r.Last
			if !results.Happened(r.First) {
				last = r.Done
			}
			near := func(a, b float64) bool { return math.Abs(a-b) < 1e-3 || math.IsNaN(a) && math.IsNaN(b) }
			if !near(l.Entries[0].At, tt.at) || !near(after(r.First), tt.first) || !near(after(last), tt.last) || r.Prompt != tt.prompt || r.Tokens != tt.output || r.Outcome != results.OK {
				t.Errorf("got at %v, first +%v, last +%v, %d and %d tokens, %v\nwant %v, +%v, +%v, %d and %d, ok",
					l.Entries[0].At, after(r.First), after(last), r.Prompt, r.Tokens, r.Outcome, tt.at, tt.first, tt.last, tt.prompt, tt.output)
			}
		})
	}
}

func TestBadLinesAreCountedByLine(t *testing.T) {
	for _, tt := range []struct {
		sentence, text string
		o              Options
		good           int
		bad            []int
	}{
		{"a table", "t_s,input_tokens,output_tokens,first_token_s\n0,1,1,0.5\nx,1,1,0.5\n2,1,1\n3,-1,1,4\n4,1,1,3.5\n5,1.5,2,6\n", Options{}, 2, []int{3, 5, 6, 7}},
		{"JSON lines cut off", `{"t_s":0,"input_tokens":1,"output_tokens":2}` + "\nnull\n" + `{"t_s":1,"input_to` + "\n\n" + `{"input_tokens":1}` + "\n" + `{"t_s":2}` + "\n", Options{}, 2, []int{2, 3, 5}},
		{"an access log", "1.5 0.5\nhello\n2.5 -\n", Options{Format: "$msec $request_time"}, 2, []int{2}},
	} {
		l, err := Read(strings.NewReader(tt.text), "f", tt.o)
		var lines []int
		for _, b := range l.Bad {
			lines = append(lines, b.Line)
		}
		if err != nil || len(l.Entries) != tt.good || !slices.Equal(lines, tt.bad) {
			t.Errorf("%s: got %d requests, bad lines %v, error %v; want %d, %v\n%v", tt.sentence, len(l.Entries), lines, err, tt.good, tt.bad, l.Bad)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct {
		sentence, text string
		o              Options
		want           string
	}{
		{"an empty file", "", Options{}, "empty"},
		{"prose", "hello\nworld\n", Options{}, "not a log that can be read"},
		{"a table without a time", "a,b\n1,2\n", Options{}, "--columns t=NAME"},
		{"a column named twice", "t_s,b,t_s\n1,2,3\n", Options{}, "columns 1 and 3 are both named t_s"},
		{"a column that is not there", "t_s,b\n1,2\n", Options{Columns: map[string]string{"input": "prompt"}}, `no column "prompt"`},
		{"vLLM without start times", `{"input_lens":[1],"output_lens":[1],"ttfts":[1],"itls":[[]]}`, Options{}, "start_times"},
		{"a format without variables", "x\n", Options{Format: "combined"}, "no variables"},
		{"a format that cannot be taken apart", "x\n", Options{Format: "$msec$status"}, "there is no separator between"},
		{"a format without a time", "x\n", Options{Format: "$status"}, "has no time"},
		{"a table of nothing but bad lines", "t_s,input_tokens\nx,1\ny,2\n", Options{}, "no request in 2 lines"},
	} {
		_, err := Read(strings.NewReader(tt.text), "f", tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.sentence, err, tt.want)
		}
	}
}

func TestFailedRequestsKeepTheirReason(t *testing.T) {
	l, err := Read(strings.NewReader(`{"input_lens":[9,9],"output_lens":[0,2],"ttfts":[0,0.1],"itls":[[],[0.1]],"start_times":[1,2],"errors":["ClientTimeout: timeout",""]}`), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	meta, r, _ := Run("f", []Log{l})
	if r[0].Outcome != results.Timeout || r[0].Err != 0 || len(meta.Errors) != 1 || r[1].Outcome != results.OK || results.Happened(r[0].First) {
		t.Errorf("got %+v, errors %v", r, meta.Errors)
	}
	for _, tt := range []struct {
		e    Entry
		want results.Outcome
	}{{Entry{Status: 429}, results.HTTP429}, {Entry{Status: 503}, results.HTTP5xx}, {Entry{Status: 404}, results.HTTP4xx}, {Entry{Failed: "incomplete"}, results.Canceled},
		{Entry{Failed: "ConnectionRefusedError"}, results.Connect}, {Entry{Failed: "bad answer"}, results.InBand}, {Entry{Status: 200}, results.OK}} {
		if got := outcome(&tt.e); got != tt.want {
			t.Errorf("outcome(%d, %q) = %v, want %v", tt.e.Status, tt.e.Failed, got, tt.want)
		}
	}
}

func TestLogsOfOneClockAreOneRun(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, "t,input_tokens,output_tokens,queued\n2026-11-24T10:00:05Z,1,1,2026-11-24T10:00:06Z\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a, errA := Read(&packed, "a.csv.gz", Options{})
	b, errB := Read(strings.NewReader("t,input_tokens,output_tokens\n2026-11-24T10:00:02Z,1,1\n"), "b.csv", Options{})
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	meta, r, samples := Run("both", []Log{a, b})
	if len(r) != 2 || r[0].Scheduled != 0 || r[1].Scheduled != 3*time.Second || !meta.Start.Equal(time.Date(2026, 11, 24, 10, 0, 2, 0, time.UTC)) || meta.Target.Kind != "log" {
		t.Errorf("got %+v starting %v", r, meta.Start)
	}
	if len(samples) != 1 || samples[0].Value != 1 || samples[0].Name != "queued_s" {
		t.Errorf("got samples %+v, want one of 1 s", samples)
	}
}

// Whatever the bytes, Read ends, and what it returns is possible.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"t_s,input_tokens,output_tokens,first_token_s\n0,1,1,0.5\n", `{"t_s":0}` + "\n" + `{"t_s":1,"x":[1,{"y":2}]}`, `[{"start_time":2}]`,
		`{"benchmarks":[{"requests":{"successful":[{"start_time":1}]}}]}`, `{"input_lens":[1],"start_times":[1],"itls":[[1]],"ttfts":[1]}`,
		`[2026-11-24T10:00:02.000Z] "POST / HTTP/1.1" 200 - 1 1 3 3 "-" "-" "-" "-" "1:2"`} {
		f.Add([]byte(seed), "")
	}
	f.Add([]byte("1.5 0.5\n"), "$msec $request_time")
	f.Fuzz(func(t *testing.T, data []byte, format string) {
		l, err := Read(bytes.NewReader(data), "f", Options{Format: format})
		if err != nil {
			return
		}
		_, requests, _ := Run("f", []Log{l})
		for i, r := range requests {
			if i > 0 && r.Scheduled < requests[i-1].Scheduled || results.Happened(r.First) && r.First < r.Scheduled || results.Happened(r.Last) && r.Last < r.First || r.Prompt < 0 || r.Tokens < 0 {
				t.Fatalf("request %d is impossible: %+v", i, r)
			}
		}
	})
}
