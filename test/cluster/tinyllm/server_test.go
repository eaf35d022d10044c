package tinyllm

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// start serves o on loopback; with run, the engine runs.
func start(t *testing.T, o Options, run bool) (*Server, string) {
	t.Helper()
	if o.Model == (Config{}) {
		o.Model = small
	}
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	if run {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		t.Cleanup(func() { cancel(); wg.Wait() })
		eventually(t, "the server is ready", func() bool { return get(t, srv.URL+"/ready") == 200 })
	}
	return s, srv.URL
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestChatStreamHasRoleTokensFinishUsageAndDone(t *testing.T) {
	_, url := start(t, Options{}, true)
	_, body := post(t, url+"/v1/chat/completions",
		`{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"one two three"}]}],"max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}`)
	type event struct {
		Choices []struct {
			Delta        map[string]string
			FinishReason *string `json:"finish_reason"`
		}
		Usage *usage
	}
	var events []event
	var text string
	done := false
	for sc := bufio.NewScanner(strings.NewReader(body)); sc.Scan(); {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		var e event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("event %q: %v", data, err)
		}
		events = append(events, e)
		if len(e.Choices) > 0 {
			text += e.Choices[0].Delta["content"]
		}
	}
	if len(events) != 5+3 || !done {
		t.Fatalf("%d events (done %v), want the role, 5 tokens, the end and the usage:\n%s", len(events), done, body)
	}
	if d := events[0].Choices[0].Delta; d["role"] != "assistant" || d["content"] != "" {
		t.Errorf("first delta = %v, want the role and no content", d)
	}
	if r := events[6].Choices[0].FinishReason; r == nil || *r != "length" {
		t.Errorf("finish_reason of the last choice = %v, want length", r)
	}
	if u := events[7].Usage; u == nil || *u != (usage{5, 5, 10}) {
		t.Errorf("usage = %+v, want 5 prompt tokens and 5 completion tokens", u)
	}
	if n := len(strings.Fields(text)); n != 5 {
		t.Errorf("text %q has %d words, want one a token: 5", text, n)
	}
}

func TestSameSeedSameAnswerStreamedOrNot(t *testing.T) {
	_, a := start(t, Options{}, true)
	_, b := start(t, Options{Slots: 1}, true)
	ask := func(url, extra string) string {
		_, body := post(t, url+"/v1/completions", `{"prompt":"the same words","max_tokens":8,"temperature":0.9`+extra+`}`)
		if !strings.HasPrefix(body, "data: ") {
			body = "data: " + body
		}
		var text string
		for line := range strings.SplitSeq(body, "\n") {
			var v struct{ Choices []struct{ Text string } }
			data, _ := strings.CutPrefix(line, "data: ")
			if json.Unmarshal([]byte(data), &v) == nil && len(v.Choices) > 0 {
				text += v.Choices[0].Text
			}
		}
		return text
	}
	want := ask(a, "")
	if want == "" {
		t.Fatal("no text")
	}
	if got := ask(b, `,"stream":true`); got != want {
		t.Errorf("the other server's stream = %q, want %q", got, want)
	}
	if got := ask(a, `,"seed":99`); got == want {
		t.Errorf("seed 99 gave the same text %q", got)
	}
}

func TestNotReadyUntilLoaded(t *testing.T) {
	s, url := start(t, Options{LoadDelay: 50 * time.Millisecond, LoadCPU: 10 * time.Millisecond}, false)
	if get(t, url+"/health") != 200 {
		t.Error("/health is not 200 while loading: the process does live")
	}
	if got := get(t, url+"/ready"); got != 503 {
		t.Errorf("/ready while loading = %d, want 503", got)
	}
	if code, body := post(t, url+"/v1/completions", `{"prompt":"x"}`); code != 503 || !strings.Contains(body, "loading") {
		t.Errorf("a completion while loading = %d %s, want 503", code, body)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	eventually(t, "/ready is 200", func() bool { return get(t, url+"/ready") == 200 })
	s.Drain()
	if got := get(t, url+"/ready"); got != 503 {
		t.Errorf("/ready while draining = %d, want 503", got)
	}
	if code, _ := post(t, url+"/v1/completions", `{"prompt":"x","max_tokens":1}`); code != 200 {
		t.Errorf("a completion while draining = %d, want 200", code)
	}
}

func TestFullQueueAnswers429AtOnce(t *testing.T) {
	// The engine does not run, so slots and places that are taken stay taken.
	s, url := start(t, Options{Slots: 1, Queue: 1}, false)
	s.ready.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", url+"/v1/completions", strings.NewReader(`{"prompt":"x"}`))
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		})
	}
	eventually(t, "two requests are inside", func() bool { s.e.mu.Lock(); defer s.e.mu.Unlock(); return len(s.e.waiting) == 2 })
	code, body := post(t, url+"/v1/completions", `{"prompt":"x"}`)
	if code != 429 || !strings.Contains(body, "rate_limit_error") {
		t.Errorf("the third request = %d %s, want 429", code, body)
	}
	// Let the engine finish the waiting jobs, so that their handlers return.
	ended, end := context.WithCancel(context.Background())
	end()
	s.e.run(ended)
	cancel()
	wg.Wait()
}

func TestAnEndInMidStreamIsAnErrorInTheStream(t *testing.T) {
	s, url := start(t, Options{Model: Config{Dim: 64, Hidden: 172, Layers: 8, Heads: 8, KVHeads: 4, Vocab: 64, Context: 20000, Seed: 1}}, false)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	eventually(t, "ready", func() bool { return get(t, url+"/ready") == 200 })
	res, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"x","max_tokens":19000,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r := bufio.NewReader(res.Body)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cancel()
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(rest), `"error"`) || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("the stream ended in %q, want an error and no [DONE]", rest[max(0, len(rest)-200):])
	}
}

func TestBadRequestsSayWhatIsWrong(t *testing.T) {
	_, url := start(t, Options{Name: "tiny"}, true)
	for _, tt := range []struct {
		name, path, body string
		code             int
		says             string
	}{
		{"not JSON", "/v1/completions", `{`, 400, "body"},
		{"a model that is not here", "/v1/completions", `{"model":"gpt","prompt":"x"}`, 404, `"gpt\"`},
		{"a chat without messages", "/v1/chat/completions", `{"model":"tiny"}`, 400, "messages"},
		{"longer than the context", "/v1/completions", `{"model":"tiny","prompt":"x","max_tokens":32}`, 400, "32 tokens, but 33"},
		{"no token asked for", "/v1/completions", `{"model":"tiny","prompt":"x","max_tokens":0}`, 400, "max_tokens 0"},
		{"two prompts", "/v1/completions", `{"model":"tiny","prompt":["x","y"]}`, 400, "2 texts"},
		{"two choices", "/v1/completions", `{"model":"tiny","prompt":"x","n":2}`, 400, "one choice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, body := post(t, url+tt.path, tt.body); code != tt.code || !strings.Contains(body, tt.says) {
				t.Errorf("POST %s %s = %d %s, want %d with %q", tt.path, tt.body, code, body, tt.code, tt.says)
			}
		})
	}
}

func TestMetricsCarryVLLMsNamesAndCountWhatHappened(t *testing.T) {
	_, url := start(t, Options{Slots: 2}, true)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { post(t, url+"/v1/completions", `{"prompt":"a b c","max_tokens":7}`) })
	}
	wg.Wait()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	for _, want := range []string{
		`vllm:num_requests_running{engine="0",model_name="tiny"} 0`,
		`vllm:num_requests_waiting{engine="0",model_name="tiny"} 0`,
		`vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0`,
		`vllm:prompt_tokens_total{engine="0",model_name="tiny"} 18`,
		`vllm:generation_tokens_total{engine="0",model_name="tiny"} 42`,
		`vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"} 6`,
		`vllm:time_to_first_token_seconds_count{engine="0",model_name="tiny"} 6`,
		`vllm:inter_token_latency_seconds_count{engine="0",model_name="tiny"} 36`,
		`vllm:e2e_request_latency_seconds_count{engine="0",model_name="tiny"} 6`,
		`vllm:request_queue_time_seconds_count{engine="0",model_name="tiny"} 6`,
	} {
		if !strings.Contains(string(b), want+"\n") {
			t.Errorf("/metrics lacks %q", want)
		}
	}
}
