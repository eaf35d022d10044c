package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gosse "github.com/tmaxmax/go-sse"

	"github.com/hpatune/hpatune/results"
)

// events splits a stream in pieces of n bytes.
func events(text string, n int) (got []string) {
	var s splitter
	for p := []byte(text); len(p) > 0; {
		piece := bytes.Clone(p[:min(n, len(p))]) // a buffer that is used again must not matter
		p = p[len(piece):]
		for rest := piece; ; {
			data, r, ok := s.next(rest)
			if !ok {
				break
			}
			got = append(got, string(data))
			rest = r
		}
		clear(piece)
	}
	if data, ok := s.flush(); ok {
		got = append(got, string(data))
	}
	return got
}

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"one event", "data: a\n\n", []string{"a"}},
		{"two events", "data: a\n\ndata: b\n\n", []string{"a", "b"}},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		{"CR", "data: a\r\rdata: b\r\r", []string{"a", "b"}},
		{"several data lines are joined by LF", "data: a\ndata: b\n\n", []string{"a\nb"}},
		{"no space after the colon", "data:a\n\n", []string{"a"}},
		{"only one space is dropped", "data:  a\n\n", []string{" a"}},
		{"comments and other fields are skipped", ": ping\nid: 7\nretry: 9\nevent: x\ndata: a\n\n", []string{"a"}},
		{"blank lines alone are no event", "\n\n\ndata: a\n\n\n\n", []string{"a"}},
		{"empty data is an event", "data:\n\ndata\n\n", []string{"", ""}},
		{"a byte order mark is skipped", "\xef\xbb\xbfdata: a\n\n", []string{"a"}},
		{"a last event without its blank line counts", "data: a\n\ndata: b", []string{"a", "b"}},
		{"a field that only begins like data is none", "datax: a\n\n", nil},
	} {
		for n := 1; n <= len(c.text); n++ {
			if got := events(c.text, n); !slices.Equal(got, c.want) {
				t.Errorf("%s, in pieces of %d: %q = %q, want %q", c.name, n, c.text, got, c.want)
			}
		}
	}
}

func TestSplitterBoundsAnEndlessEvent(t *testing.T) {
	var s splitter
	p := bytes.Repeat([]byte("x"), 1<<20)
	for range 20 {
		if _, _, ok := s.next(p); ok {
			t.Fatal("an event without an end was given")
		}
	}
	if !s.tooLong || cap(s.line) > 2*maxEvent {
		t.Errorf("tooLong = %v, kept %d bytes", s.tooLong, cap(s.line))
	}
}

// FuzzSplitter holds the splitter against tmaxmax/go-sse, in pieces of any size.
func FuzzSplitter(f *testing.F) {
	for _, s := range []string{
		"data: a\n\ndata: b\n\n", "data: a\r\n\r\n", "data: a\r\rdata: b\r\r", ":c\nevent: error\ndata: {}\n\n",
		"\xef\xbb\xbfdata: a\n\n", "data\n\ndata:\n\n", "data: a\ndata: b\n\n\n", "id: 1\n\ndata: x", "data: [DONE]\n\n",
	} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		if len(text) > 1<<14 {
			return
		}
		// The oracle gives up an event without its blank line, which ours gives
		// (servers end like that), so every text gets one.
		text += "\n\n"
		// go-sse also gives an event to a lone id, with empty data: events with
		// empty data are left out on both sides.
		full := func(list []string) []string {
			return slices.DeleteFunc(list, func(s string) bool { return s == "" })
		}
		want, got := full(oracle(t, text)), full(events(text, int(n)+1))
		if !slices.Equal(got, want) {
			t.Errorf("%q in pieces of %d = %q, go-sse says %q", text, int(n)+1, got, want)
		}
	})
}

// oracle reads events with go-sse.
func oracle(t *testing.T, text string) (want []string) {
	for e, err := range gosse.Read(strings.NewReader(text), nil) {
		if err != nil {
			t.Skip(err)
		}
		want = append(want, e.Data)
	}
	return want
}

func TestReadChunk(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       chunk
	}{
		{"the role alone is no token", `{"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}`, chunk{}},
		{"empty content is no token", `{"choices":[{"delta":{"role":"assistant","content":""}}]}`, chunk{}},
		{"null content is no token", `{"choices":[{"delta":{"content":null}}]}`, chunk{}},
		{"content", `{"choices":[{"delta":{"content":"a"}}]}`, chunk{token: true}},
		{"content with an escaped quote", `{"choices":[{"delta":{"content":"\""}}]}`, chunk{token: true}},
		{"reasoning", `{"choices":[{"delta":{"reasoning":"hm"}}]}`, chunk{token: true}},
		{"reasoning_content", `{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}`, chunk{token: true}},
		{"a tool call", `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}`, chunk{token: true}},
		{"no tool call", `{"choices":[{"delta":{"tool_calls":[ ]}}]}`, chunk{}},
		{"text of completions", `{"choices":[{"text":"a","logprobs":null,"finish_reason":null}]}`, chunk{token: true}},
		{"finish", `{"choices":[{"delta":{},"finish_reason":"stop"}]}`, chunk{finish: true}},
		{"usage", `{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}`, chunk{usage: true, prompt: 12, completion: 34}},
		{"usage null", `{"choices":[{"delta":{"content":"a"}}],"usage":null}`, chunk{token: true}},
		{"an error object", `{"error":{"message":"out of memory","code":500}}`, chunk{suspect: true}},
		{"an error text", `{"error":"boom"}`, chunk{suspect: true}},
		{"a list of errors", `{"errors":[{"message":"boom"}]}`, chunk{suspect: true}},
		{"an error object of old vLLM", `{"object":"error","message":"boom"}`, chunk{suspect: true}},
		{"FastAPI's detail", `{"detail":"no"}`, chunk{suspect: true}},
		{"a chunk is no error object", `{"object":"chat.completion.chunk","choices":[]}`, chunk{}},
		{"an aborted choice", `{"choices":[{"delta":{},"finish_reason":"abort"}]}`, chunk{finish: true, suspect: true}},
		{"a finish reason that is an object", `{"choices":[{"delta":{},"finish_reason":{"type":"abort"}}]}`, chunk{finish: true, suspect: true}},
		{"an empty finish reason is none", `{"choices":[{"delta":{},"finish_reason":""}]}`, chunk{}},
		{"usage under Anthropic's names", `{"choices":[],"usage":{"input_tokens":12,"output_tokens":34}}`, chunk{usage: true, prompt: 12, completion: 34}},
		{"usage with a fraction of 0", `{"usage":{"completion_tokens":5.0}}`, chunk{usage: true, completion: 5}},
		{"usage as text is none", `{"usage":{"completion_tokens":"5"}}`, chunk{usage: true}},
		{"error null is none", `{"error":null,"choices":[]}`, chunk{}},
		{"the second of two choices counts", `{"choices":[{"delta":{}},{"delta":{"content":"b"}}]}`, chunk{token: true}},
		{"white space", " {\n \"choices\" : [ { \"delta\" : { \"content\" : \"a\" } } ] } ", chunk{token: true}},
		{"not JSON", `hello`, chunk{bad: true}},
		{"cut short", `{"choices":[{"delta":{"content":"a`, chunk{bad: true}},
		{"something after the object", `{} {}`, chunk{bad: true}},
		{"not an object", `[1]`, chunk{bad: true}},
	} {
		got := readChunk([]byte(c.text))
		if list := strings.Contains(c.text, `"choices"`) && !strings.Contains(c.text, `"choices":null`); got.choices != list && !got.bad {
			t.Errorf("%s: readChunk(%s) saw choices: %v", c.name, c.text, got.choices)
		}
		got.from, got.to, got.choices = 0, 0, false
		if fmt.Sprint(got) != fmt.Sprint(c.want) && !(got.bad && c.want.bad) {
			t.Errorf("%s: readChunk(%s) = %+v, want %+v", c.name, c.text, got, c.want)
		}
	}
}

// naive reads a chunk with encoding/json.
func naive(b []byte) (c chunk, ok bool) {
	var o struct {
		Choices []struct {
			Delta struct {
				Content   *string `json:"content"`
				Reasoning *string `json:"reasoning"`
			} `json:"delta"`
			Text   *string `json:"text"`
			Finish *string `json:"finish_reason"`
		} `json:"choices"`
		Usage *struct {
			Prompt     uint32 `json:"prompt_tokens"`
			Completion uint32 `json:"completion_tokens"`
		} `json:"usage"`
	}
	if json.Unmarshal(b, &o) != nil {
		return c, false
	}
	says := func(s *string) bool { return s != nil && *s != "" }
	for _, ch := range o.Choices {
		c.token = c.token || says(ch.Delta.Content) || says(ch.Delta.Reasoning) || says(ch.Text)
		c.finish = c.finish || says(ch.Finish)
	}
	if o.Usage != nil {
		c.prompt, c.completion = int(o.Usage.Prompt), int(o.Usage.Completion)
	}
	return c, true
}

// FuzzReadChunk holds the scanner against encoding/json: what that reads, ours
// must read alike; nothing may crash it.
func FuzzReadChunk(f *testing.F) {
	for _, s := range []string{
		`{"choices":[{"delta":{"content":"a"}}]}`, `{"choices":[{"text":"\\\"x"}],"usage":{"prompt_tokens":1,"completion_tokens":22}}`,
		`{"choices":[{"finish_reason":"stop","delta":{"reasoning":"\u00e9"}}]}`, `{"a":[[{"b":"]"}]],"choices":null}`, `{"usage":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := readChunk(b)
		want, ok := naive(b)
		if !ok || !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
			return
		}
		if got.bad {
			t.Fatalf("readChunk(%q) is bad, encoding/json reads it", b)
		}
		// encoding/json takes the last of two members of one name, folds case and
		// knows escaped names: where it says less than ours, or a name is odd, the two may differ.
		if odd(b) {
			return
		}
		if got.token != want.token || got.finish != want.finish || got.prompt != want.prompt || got.completion != want.completion {
			t.Errorf("readChunk(%q) = %+v, encoding/json says %+v", b, got, want)
		}
	})
}

// odd reports whether a text has what the two readers may see differently.
func odd(b []byte) bool {
	lower := bytes.ToLower(b)
	for _, name := range []string{"choices", "delta", "content", "reasoning", "text", "finish_reason", "usage", "prompt_tokens", "completion_tokens"} {
		quoted := []byte(`"` + name + `"`)
		if bytes.Count(lower, quoted) != bytes.Count(b, quoted) || bytes.Count(b, quoted) > 1 {
			return true
		}
	}
	for _, word := range []string{`\u`, "tool_calls", "refusal", "reasoning_content", "message", "error", "ſ", "K"} {
		if bytes.Contains(lower, []byte(word)) {
			return true
		}
	}
	return false
}

// The fast path for chunks that are like the one before must say what the
// scanner says.
func FuzzLikeTheOneBefore(f *testing.F) {
	f.Add(`{"choices":[{"delta":{"content":"`, "abc", "d", `"},"finish_reason":null}]}`)
	f.Add(`{"choices":[{"text":"`, "abc", `d","x":"`, `"}]}`)
	f.Add(`{"choices":[{"delta":{"content":"`, `a\\`, `b\`, `"}}]}`)
	f.Add(`{"choices":[{"delta":{"content":"`, "a", "", `"}}]}`)
	f.Fuzz(func(t *testing.T, head, first, second, tail string) {
		var m stream
		m.reset()
		m.read([]byte(head + first + tail))
		b := []byte(head + second + tail)
		if got, want := m.read(b), readChunk(b); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("after %q, %q is read as %+v, want %+v", first, b, got, want)
		}
	})
}

func TestStreamTimes(t *testing.T) {
	var m stream
	m.reset()
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	m.feed([]byte("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\nda"), at(1))
	m.feed([]byte("ta: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n"), at(2))
	if m.tokens != 0 || m.first != results.NotYet {
		t.Fatalf("a token before its event was complete: %+v", m)
	}
	m.feed([]byte("\n"), at(5))
	m.feed([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"c\"}}]}\n\n"), at(9))
	m.feed([]byte("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\ndata: junk\n\n"), at(12))
	if m.first != at(5) || m.last != at(9) || m.gap != at(4) || m.tokens != 3 || !m.finish || !m.done || m.bad {
		t.Errorf("stream = %+v", m)
	}
}

// streamed is an answer of n tokens as OpenAI's own servers write it.
func streamed(n int) []byte {
	var b bytes.Buffer
	const head = `data: {"id":"chatcmpl-BlYWzqQk1","object":"chat.completion.chunk","created":1750000000,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":`
	b.WriteString(head + `{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}` + "\n\n")
	for i := range n {
		fmt.Fprintf(&b, `%s{"content":" word%d"},"logprobs":null,"finish_reason":null}]}`+"\n\n", head, i)
	}
	b.WriteString(head + `{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
	return b.Bytes()
}

func TestMeteringAStreamDoesNotAllocate(t *testing.T) {
	text := streamed(200)
	var m stream
	m.feed(text, 0)
	if n := testing.AllocsPerRun(20, func() { m.reset(); m.feed(text, 1) }); n != 0 {
		t.Errorf("%v allocations a stream of 200 events, want 0", n)
	}
}

// BenchmarkStream meters answers of 200 events: ns/event is bar B7.
func BenchmarkStream(b *testing.B) {
	text := streamed(200)
	var m stream
	b.ReportAllocs()
	for b.Loop() {
		m.reset()
		// In pieces as they come from a socket: one event a read.
		for p := text; len(p) > 0; {
			n := bytes.Index(p, []byte("\n\n")) + 2
			m.feed(p[:n], time.Duration(len(p)))
			p = p[n:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/203, "ns/event")
}
