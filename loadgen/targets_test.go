package loadgen

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// sent is what a server saw of a request.
type sent struct{ method, path, contentType, body string }

// see runs n arrivals of a profile against a server that answers every one
// alike, and returns what it saw, by arrival.
func see(t *testing.T, p *profiles.Profile, n int, contentType, answer string) ([]sent, []results.Request, Report) {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]sent{}
	list, rep := load(t, Options{Arrivals: constant(n, time.Millisecond), Profile: p, Seed: 7}, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[r.Header.Get(ArrivalHeader)] = sent{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), string(b)}
		mu.Unlock()
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, answer)
	})
	out := make([]sent, n)
	for i := range n {
		out[i] = seen[fmt.Sprint(i)]
	}
	return out, list, rep
}

const inferOK = `{"model_name":"m","outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[1]}]}`

func TestRequestsLookAsTheirProtocolSays(t *testing.T) {
	files := fstest.MapFS{
		"one.json":     {Data: []byte(`{"q":"{{prompt}}","n":{{max_tokens}},"i":{{ arrival }},"deep":{"a":{"b":1}}}`)},
		"plain.json":   {Data: []byte(`{"x":1}`)},
		"many.jsonl":   {Data: []byte("{\"a\":0}\n\n{\"a\":1}\n")},
		"pics/b.png":   {Data: []byte("PNG")},
		"pics/a.jpg":   {Data: []byte("JPG")},
		"pics/.hidden": {Data: []byte("no")},
		"text.txt":     {Data: []byte("hello")},
	}
	for _, c := range []struct {
		name   string
		target profiles.Target
		answer string
		want   []sent // of the first arrivals; a body with a * at its end is a beginning
	}{
		{"GET without a body", profiles.Target{Path: "/x?a=1"}, "", []sent{{"GET", "/x?a=1", "", ""}}},
		{"any method", profiles.Target{Method: "DELETE"}, "", []sent{{"DELETE", "/", "", ""}}},
		{"HEAD, whose answer has a length and no body", profiles.Target{Method: "HEAD"}, "hello", []sent{{"HEAD", "/", "", ""}, {"HEAD", "/", "", ""}}},
		{"POST with a body", profiles.Target{Body: "plain.json"}, "", []sent{{"POST", "/", "application/json", `{"x":1}`}}},
		{"PUT of a text", profiles.Target{Method: "PUT", Body: "text.txt"}, "", []sent{{"PUT", "/", "text/plain; charset=utf-8", "hello"}}},
		{"its content type wins", profiles.Target{Body: "text.txt", ContentType: "a/b"}, "", []sent{{"POST", "/", "a/b", "hello"}}},
		{"JSONL bodies take turns", profiles.Target{Body: "many.jsonl"}, "", []sent{
			{"POST", "/", "application/json", `{"a":0}`}, {"POST", "/", "application/json", `{"a":1}`}, {"POST", "/", "application/json", `{"a":0}`}}},
		{"a folder's files take turns by name", profiles.Target{Files: "pics"}, "", []sent{
			{"POST", "/", "image/jpeg", "JPG"}, {"POST", "/", "image/png", "PNG"}, {"POST", "/", "image/jpeg", "JPG"}}},
		{"a template is filled", profiles.Target{Body: "one.json"}, "", []sent{{"POST", "/", "application/json", `{"q":"*`}}},
		{"KServe v2", profiles.Target{Protocol: "kserve-v2", Model: "m"}, inferOK, []sent{
			{"POST", "/v2/models/m/infer", "application/json", `{"id":"0","inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["*`}}},
		{"BentoML", profiles.Target{Protocol: "bentoml"}, "{}", []sent{{"POST", "/predict", "application/json", `{"text":"*`}}},
		{"completions in one piece", profiles.Target{Protocol: "openai-completions", Model: "m", Stream: new(false)},
			`{"choices":[{"text":"a","finish_reason":"stop"}]}`, []sent{{"POST", "/v1/completions", "application/json", `{"model":"m","prompt":"*`}}},
	} {
		p := plan(c.target, short)
		p.Files = files
		got, list, rep := see(t, p, len(c.want), "application/json", c.answer)
		for i, want := range c.want {
			g := got[i]
			if begin, ok := strings.CutSuffix(want.body, "*"); ok && strings.HasPrefix(g.body, begin) && json.Valid([]byte(g.body)) {
				g.body = want.body
			}
			if g != want {
				t.Errorf("%s: arrival %d sent %+v, want %+v", c.name, i, g, want)
			}
			if list[i].Outcome != results.OK {
				t.Errorf("%s: %v %q", c.name, list[i].Outcome, rep.Errors)
			}
		}
	}
}

func TestUploadsAreForms(t *testing.T) {
	p := plan(profiles.Target{Protocol: "bentoml", Path: "/classify", Files: "pics", Multipart: "image"}, short)
	p.Files = fstest.MapFS{"pics/cat.png": {Data: []byte("PNG\r\n--hpatune-")}}
	got, _, _ := see(t, p, 1, "application/json", `["cat"]`)
	_, params, err := mime.ParseMediaType(got[0].contentType)
	if err != nil {
		t.Fatal(err)
	}
	part, err := multipart.NewReader(strings.NewReader(got[0].body), params["boundary"]).NextPart()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(part)
	if part.FormName() != "image" || part.FileName() != "cat.png" || part.Header.Get("Content-Type") != "image/png" || string(b) != "PNG\r\n--hpatune-" {
		t.Errorf("part %v %q", part.Header, b)
	}
}

func TestAnswersAreJudgedByTheirShape(t *testing.T) {
	kserve, bento := profiles.Target{Protocol: "kserve-v2"}, profiles.Target{Protocol: "bentoml"}
	for _, c := range []struct {
		target       profiles.Target
		answer, text string // text "" = good
	}{
		{kserve, inferOK, ""},
		{kserve, `{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}` + "\x00\x00\x80\x3f", ""},
		{kserve, `{"error":"model not ready"}`, "model not ready"},
		{kserve, `{"outputs":[]}`, "no outputs"},
		{kserve, `{"outputs":[{"name":"y","datatype":"FP32","shape":[1]}]}`, "no data"},
		{kserve, `{"outputs":[{"name":"y","data":[1]}]}`, "lacks"},
		{kserve, `<html>`, "not an inference response"},
		{bento, `{"label":"cat"}`, ""},
		{bento, `[0.1, 0.9]`, ""},
		{bento, `{"error":"out of memory"}`, "out of memory"},
		{bento, `{"label":`, "is not"},
	} {
		_, list, rep := see(t, plan(c.target, short), 1, "application/json", c.answer)
		if c.text == "" && list[0].Outcome != results.OK || c.text != "" && (list[0].Outcome != results.InBand || !strings.Contains(rep.Errors[0], c.text)) {
			t.Errorf("%s %s: %v %q, want %q", c.target.Protocol, c.answer, list[0].Outcome, rep.Errors, c.text)
		}
	}
}

func TestOtherStreamsAreMeteredByTheirPieces(t *testing.T) {
	for _, ct := range []string{"text/event-stream", "text/plain"} {
		list, _ := load(t, Options{Arrivals: constant(1, 0), Profile: plan(profiles.Target{Protocol: "bentoml", Stream: new(true)}, short)},
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", ct)
				for range 3 {
					fmt.Fprint(w, "data: x\n\n")
					w.(http.Flusher).Flush()
					time.Sleep(10 * time.Millisecond)
				}
			})
		if r := list[0]; r.Outcome != results.OK || !results.Happened(r.First) || r.Last-r.First < 10*time.Millisecond || r.TokensFrom != results.TokensNone {
			t.Errorf("%s: %+v", ct, r)
		}
	}
}

func TestBadBodiesAreNamed(t *testing.T) {
	files := fstest.MapFS{
		"bad.jsonl": {Data: []byte("{}\n{\n")}, "empty.jsonl": {Data: []byte("\n")}, "mark.json": {Data: []byte(`{{promt}}`)},
		"p.jsonl": {Data: []byte("{\"prompt\":\"a\"}\n{\"text\":\"b\"}\n")}, "none/.x": {},
	}
	for _, c := range []struct {
		p    profiles.Profile
		want string
	}{
		{profiles.Profile{Target: profiles.Target{Body: "bad.jsonl"}}, "bad.jsonl:2"},
		{profiles.Profile{Target: profiles.Target{Body: "empty.jsonl"}}, ": empty"},
		{profiles.Profile{Target: profiles.Target{Body: "mark.json"}}, "{{promt}} is unknown; try one of {{prompt}}"},
		{profiles.Profile{Target: profiles.Target{Body: "missing.json"}}, "missing.json"},
		{profiles.Profile{Target: profiles.Target{Files: "none"}}, "the folder is empty"},
		{profiles.Profile{Prompts: profiles.Prompts{File: "p.jsonl"}}, "p.jsonl:2"},
		{profiles.Profile{Target: profiles.Target{Protocol: "smtp"}}, "try one of http"},
	} {
		c.p.Files = files
		if _, err := newProtocol(&c.p, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.p, err, c.want)
		}
	}
}

// body returns the JSON body of an item, decoded.
func body(t *testing.T, p *profiles.Profile, seed uint64, it item) (text string, messages []string) {
	t.Helper()
	proto, err := newProtocol(p, seed)
	if err != nil {
		t.Fatal(err)
	}
	b := proto.write(nil, it)
	var o struct {
		Messages []struct{ Role, Content string }
	}
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	for _, m := range o.Messages {
		messages = append(messages, m.Content)
	}
	return string(b), messages
}

func count(s string) int { return len(strings.Fields(s)) }

func TestPrompts(t *testing.T) {
	p := plan(chat, short)
	at := func(i, n int) item { return item{Arrival: profiles.Arrival{Index: i, Prompt: n, Max: 5}} }
	a, m := body(t, p, 1, at(3, 500))
	if b, _ := body(t, p, 1, at(3, 500)); a != b {
		t.Error("same seed and arrival, other bytes")
	}
	if b, _ := body(t, p, 2, at(3, 500)); a == b {
		t.Error("another seed, the same bytes")
	}
	if n := count(m[0]); n != 500 {
		t.Errorf("a prompt of 500 tokens has %d words", n)
	}
	_, other := body(t, p, 1, at(4, 500))
	if m[0][:40] == other[0][:40] {
		t.Error("two prompts begin alike: a prefix cache would answer")
	}

	p.Prompts = profiles.Prompts{SharedPrefix: 100, Prefixes: 2}
	first := func(i int) []string { _, m := body(t, p, 1, at(i, 150)); return strings.Fields(m[0]) }
	a0, a1, a2 := first(0), first(1), first(2)
	if !slices.Equal(a0[:100], a2[:100]) || slices.Equal(a0[:100], a1[:100]) || slices.Equal(a0[100:], a2[100:]) || len(a0) != 150 {
		t.Error("prefixes are not shared by every second prompt, and by those alone")
	}
}

func TestConversationsCarryWhatWasBefore(t *testing.T) {
	p := plan(chat, short)
	p.Prompts = profiles.Prompts{Turns: 3, Sessions: 2}
	talks := sessions{prompts: p.Prompts}
	var said [][]string
	for i := range 12 {
		it := talks.item(profiles.Arrival{Index: i, Prompt: 10 + i, Max: 4})
		text, m := body(t, p, 1, it)
		said = append(said, m)
		proto, _ := newProtocol(p, 1)
		if n := count(strings.Join(m, " ")); n != proto.texts.length(it) {
			t.Errorf("arrival %d: %d words, %d announced: %s", i, n, proto.texts.length(it), text)
		}
	}
	// Session 0 of the first block: arrivals 0, 2, 4.
	if len(said[0]) != 1 || len(said[2]) != 3 || len(said[4]) != 5 || len(said[6]) != 1 {
		t.Fatalf("messages by arrival: %d %d %d %d, want 1 3 5 1", len(said[0]), len(said[2]), len(said[4]), len(said[6]))
	}
	if !slices.Equal(said[4][:3], said[2]) || said[2][0] != said[0][0] || said[1][0] == said[0][0] || said[6][0] == said[0][0] {
		t.Error("a turn does not begin with the turns before it")
	}
	if len(talks.past) != 0 {
		t.Errorf("%d ended conversations are still remembered", len(talks.past))
	}
}

func TestPromptsFromAFile(t *testing.T) {
	p := plan(chat, short)
	p.Prompts.File = "p.jsonl"
	p.Files = fstest.MapFS{"p.jsonl": {Data: []byte("{\"prompt\":\"say \\\"hi\\\"\"}\nplain text\n")}}
	for i, want := range []string{`say "hi"`, "plain text", `say "hi"`} {
		if _, m := body(t, p, 1, item{Arrival: profiles.Arrival{Index: i, Prompt: 99}}); m[0] != want {
			t.Errorf("prompt %d = %q, want %q", i, m[0], want)
		}
	}
}
