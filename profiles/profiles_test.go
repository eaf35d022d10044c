package profiles

import (
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestShippedProfilesLoad(t *testing.T) {
	found, _ := fs.Glob(Shipped(), "*.yaml")
	if len(found) != len(Names()) {
		t.Errorf("shipped %v, named %v", found, Names())
	}
	for _, name := range Names() {
		p, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != name || p.Duration() == 0 || p.Peak() == 0 {
			t.Errorf("%s: name %q, duration %v, peak %v", name, p.Name, p.Duration(), p.Peak())
		}
		if name != "soak" && p.Peak() > 25 {
			t.Errorf("%s peaks at %v: more than a laptop's sandbox carries", name, p.Peak())
		}
	}
	if _, err := Load("spikes"); err == nil || !strings.Contains(err.Error(), "no built-in profile") {
		t.Errorf("Load(spikes) = %v", err)
	}
}

// everything is the profile of INTERFACES.md, with the optional fields.
const everything = `name: spike
represents: day
seed: 7
target:  {protocol: openai-chat, path: /v1/chat/completions, model: m, stream: true, headers: {X-Team: a}, request: {stop: [a], top_k: null}, stream_end: lenient, url: "http://a.example:8000"}
prompts: {file: prompts.txt, shared_prefix_tokens: 100, prefixes: 4, turns: 3, sessions: 2}
classes: [{name: chat, weight: 3, prompt_tokens: 512, output_tokens: {mean: 128, cv: 1}, request: {ignore_eos: true}}, {name: code, weight: 1, prompt_tokens: 2048, output_tokens: 64}]
stages:
  - {name: warm-up, rate: 5/s, duration: 1m, warmup: true}
  - {name: climb, ramp: {from: 5/s, to: 50/s}, duration: 5m}
  - {name: hold, rate: 50/s, duration: 5m, arrivals: {gamma: {cv: 2}}}
  - {name: waves, sine: {mean: 30/s, amplitude: 30/s, period: 10m}, duration: 20m}
  - {name: real, trace: {file: trace.csv, from: 1s, to: 40s, scale_rate: 2, scale_time: 1}}
objectives: ["ttft.p95 < 500ms", "error_rate < 0.1%"]
connections: {mode: pinned, max_age: 20s, pools: 8, backend_header: X-Served-By}
timeouts: {connect: 1s, first_token: 3s, idle: 4s, total: 6m}
abort: {error_rate: 25%, for: 20s}
`

func files(trace string) fstest.MapFS {
	return fstest.MapFS{
		"file.json":   {Data: []byte(`{}`)},
		"prompts.txt": {Data: []byte("hello\n")},
		"trace.csv":   {Data: []byte(trace)},
		"images/a":    {Data: []byte("x")},
	}
}

const smallTrace = "t_s,input_tokens,output_tokens\n0.5,10,20\n1,11,21\n39.9,12,22\n40,13,23\n"

func TestParseReadsEveryField(t *testing.T) {
	p, err := Parse("spike.yaml", []byte(everything), files(smallTrace))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"represents", p.Represents, "day"}, {"seed", p.Seed, int64(7)}, {"model", p.Target.Model, "m"}, {"streams", p.Target.Streams(), true},
		{"header", p.Target.Headers["X-Team"], "a"}, {"stream end", p.Target.StreamEnd, "lenient"}, {"request", p.Target.Request, map[string]any{"stop": []any{"a"}, "top_k": nil}}, {"prompts", p.Prompts, Prompts{"prompts.txt", 100, 4, 3, 2}},
		{"class", p.Classes[0], Class{"chat", 3, Tokens{512, 0}, Tokens{128, 1}, map[string]any{"ignore_eos": true}}}, {"warmup", p.Stages[0].Warmup, true},
		{"ramp", *p.Stages[1].Ramp, Ramp{5, 50}}, {"law", p.Stages[2].Process, Process{Gamma, 2}}, {"default law", p.Stages[1].Process, Process{Poisson, 0}},
		{"sine", *p.Stages[3].Sine, Sine{30, 30, 10 * time.Minute, 0}}, {"rows of the slice", len(p.Stages[4].Trace.rows), 2},
		{"span", p.Stages[2].From, 6 * time.Minute}, {"end", p.Stages[2].To, 11 * time.Minute}, {"trace's length", p.Stages[4].Duration, 39 * time.Second},
		{"duration", p.Duration(), 31*time.Minute + 39*time.Second}, {"objectives", len(p.Objectives), 2},
		{"connections", p.Connections, Connections{"pinned", 20 * time.Second, 8, "X-Served-By"}}, {"timeouts", p.Timeouts, Timeouts{time.Second, 3 * time.Second, 4 * time.Second, 6 * time.Minute}},
		{"abort", p.Abort, Abort{0.25, 20 * time.Second}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	p, err := Parse("p", []byte("stages: [{rate: 300/m, duration: 10s}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"seed", p.Seed, int64(1)}, {"protocol", p.Target.Protocol, "http"}, {"streams", p.Target.Streams(), false}, {"stage's name", p.Stages[0].Name, "stage-1"},
		{"rate", *p.Stages[0].Rate, Rate(5)}, {"connections", p.Connections, Connections{"realistic", 10 * time.Second, 32, "X-Backend"}},
		{"timeouts", p.Timeouts, Timeouts{2 * time.Second, 30 * time.Second, 10 * time.Second, 5 * time.Minute}}, {"abort", p.Abort, Abort{0.5, 10 * time.Second}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"three mistakes are all named", "stages:\n- {rate: -5/s, duration: 1m}\n- {ramp: {from: 1/s, too: 2/s}, duration: 5}\n",
			"p.yaml:2: stages[0].rate: rate -5/s is negative\n  Try: 5/s\n" +
				"p.yaml:3: stages[1].duration: duration 5 has no unit\n  Try: 5s\n" +
				"p.yaml:3: stages[1].ramp.too: unknown field \"too\"\n  Try: to"},
		{"an empty file", "", "p.yaml: is empty\n  Try: hpatune profile show steady"},
		{"a file that is no profile", strings.Repeat("#", 1<<20+1), "p.yaml: 1048577 bytes; a profile has at most 1048576\n  Try: a trace, for many arrivals"},
		{"no stages", "name: x", "p.yaml:1: stages: is empty\n  Try: - {name: hold, rate: 5/s, duration: 5m}"},
		{"no shape", "stages:\n- duration: 1m", "p.yaml:2: stages[0]: has no shape: add rate, ramp, sine or trace\n  Try: rate: 5/s"},
		{"two shapes", "stages: [{rate: 5/s, ramp: {from: 0, to: 1/s}, duration: 1m}]", "p.yaml:1: stages[0]: has ramp and rate; a stage has one shape\n  Try: a stage for each"},
		{"no duration", "stages:\n- {name: a,\n   rate: 5/s}", "p.yaml:2: stages[0]: has no duration\n  Try: duration: 5m"},
		{"a rate without its unit", "stages: [{rate: 5, duration: 1m}]", "p.yaml:1: stages[0].rate: rate 5 has no unit\n  Try: 5/s"},
		{"a rate per day", "stages: [{rate: 5/d, duration: 1m}]", "p.yaml:1: stages[0].rate: rate 5/d is per \"d\", should be per s, m or h\n  Try: 5/s"},
		{"an amplitude above the mean", "stages:\n- duration: 1m\n  sine:\n    mean: 5/s\n    amplitude: 6/s\n    period: 1m", "p.yaml:5: stages[0].sine.amplitude: amplitude 6/s is above the mean of 5/s: the rate would be negative\n  Try: at most 5/s"},
		{"gamma without its cv", "stages: [{rate: 5/s, duration: 1m, arrivals: gamma}]", "p.yaml:1: stages[0].arrivals: gamma arrivals need a cv\n  Try: {gamma: {cv: 2}}"},
		{"a misspelt law", "stages: [{rate: 5/s, duration: 1m, arrivals: poison}]", "p.yaml:1: stages[0].arrivals: arrivals \"poison\" are unknown\n  Try: poisson"},
		{"a credential", "target: {headers: {authorization: x}}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: target.headers.authorization: is a credential, but a profile is stored with its run\n  Try: --header-file FILE, or the environment"},
		{"a password in the URL", "target:\n  url: http://a:b@c\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:2: target.url: contains a user name or password, but a profile is stored with its run\n  Try: --header-file FILE, or the environment"},
		{"a URL that is none", "target:\n  url: localhost:80\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:2: target.url: \"localhost:80\" is not an http or https URL\n  Try: http://localhost:80"},
		{"another tool's name of a field", "target: {protocol: openai-chat, extra_body: {a: 1}}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: target.extra_body: unknown field \"extra_body\"\n  Try: request"},
		{"users, as closed loops have them", "stages: [{rate: 5/s, vus: 9, duration: 1m}]", "p.yaml:1: stages[0].vus: unknown field \"vus\"\n  Try: rate: 5/s; a profile sets requests per second, not requests in flight"},
		{"another scheme", "target:\n  url: ftp://h\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:2: target.url: \"ftp://h\" is not an http or https URL\n  Try: http://inference.example:8000"},
		{"a request field that hpatune writes", "target: {protocol: openai-chat, request: {model: m, top_k: 1}}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: target.request.model: is set by hpatune\n  Try: target.model"},
		{"request fields beside a body file", "target: {body: file.json, request: {a: 1}}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: target.request: has no effect with body files, which are sent as they are\n  Try: write the fields into the files"},
		{"request fields without a body", "classes: [{name: a, request: {a: 1}}]\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: classes[0].request: protocol http has no JSON body to merge fields into\n  Try: body: FILE.json, or protocol: openai-chat"},
		{"an end of streams that is unknown", "target: {stream_end: loose}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: target.stream_end: \"loose\" is unknown\n  Try: strict or lenient"},
		{"a word that is unknown at zero", "at_zero: wait\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: at_zero: \"wait\" is neither refuse nor hold TIME\n  Try: refuse, or hold 60s"},
		{"a hold without a time", "at_zero: hold\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: at_zero: \"hold\" has no time\n  Try: hold 60s"},
		{"a hold of less than nothing", "at_zero: hold -5s\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: at_zero: hold needs a time above 0, not -5s\n  Try: hold 60s"},
		{"a number at zero", "at_zero: 0\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: at_zero: is number 0, should be text\n  Try: refuse, or hold 60s"},
		{"a misspelt protocol", "target: {protocol: openai_chat}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: target.protocol: \"openai_chat\" is unknown\n  Try: openai-chat"},
		{"an error rate in the wrong unit", "abort: {error_rate: 50}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: abort.error_rate: \"50\" is not a share from 0% to 100%\n  Try: 50%"},
		{"a cv without a mean", "classes: [{name: a, prompt_tokens: {cv: 1}}]\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: classes[0].prompt_tokens: has a cv but no mean\n  Try: {mean: 128, cv: 1}"},
		{"a file that is not there", "target: {body: x.json}\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:1: target.body: x.json: file does not exist\n  Try: a path relative to the profile"},
		{"an objective without its limit", "objectives:\n- error_rate < 1%\n- ttft.p95\nstages: [{rate: 5/s, duration: 1m}]", "p.yaml:3: objectives[1]: objective \"ttft.p95\": missing operator\n  Try: ttft.p95 < 500ms"},
		{"too many arrivals", "stages: [{rate: 1000000/s, duration: 24h}]", "p.yaml:1: stages: 8.64e+10 arrivals; at most 2147483648\n  Try: a lower rate, or shorter stages"},
		{"a trace that is not there", "stages: [{trace: {file: none.csv}}]", "p.yaml:1: stages[0].trace.file: none.csv: file does not exist\n  Try: a CSV (or .gz, .zst), JSONL or Parquet file with the columns t_s, input_tokens, output_tokens, named relative to the profile"},
		{"a trace outside the folder", "stages: [{trace: {file: ../none.csv}}]", "p.yaml:1: stages[0].trace.file: ../none.csv: is not inside the profile's folder\n  Try: a CSV (or .gz, .zst), JSONL or Parquet file with the columns t_s, input_tokens, output_tokens, named relative to the profile"},
		{"bad rows of a trace are named with their lines", "stages: [{trace: {file: trace.csv}}]",
			"trace.csv:3: t_s: time NaN is not a finite number\n  Try: seconds from the recording's start\n" +
				"trace.csv:4: t_s: time -1 is negative\n  Try: seconds from the recording's start\n" +
				"trace.csv:5: t_s: time 1 is before the row above, at 2\n  Try: sort the file by t_s\n" +
				"trace.csv:6: output_tokens: \"x\" is not a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("p.yaml", []byte(c.yaml), files("t_s,input_tokens,output_tokens\n2,1,1\nNaN,1,1\n-1,1,1\n1,1,1\n3,1,x\n"))
			if err == nil || err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

// TestReadmeNamesEveryField: a field that nobody can read of is not there.
func TestReadmeNamesEveryField(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{Profile{}, Target{}, Prompts{}, Class{}, Stage{}, Ramp{}, Sine{}, Trace{}, Connections{}, Timeouts{}, Abort{}} {
		for i := range reflect.TypeOf(v).NumField() {
			name := reflect.TypeOf(v).Field(i).Tag.Get("json")
			if name == "" || name == "-" {
				continue
			}
			if s := string(readme); !strings.Contains(s, "`"+name+"`") && !strings.Contains(s, name+": ") && !strings.Contains(s, "."+name+"`") {
				t.Errorf("README.md does not name %s of %T", name, v)
			}
		}
	}
}
