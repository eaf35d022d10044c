package loadgen

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// A URL is taken as clients of each protocol write it.
func TestEndpoint(t *testing.T) {
	const chat, kserve = "openai-chat", "kserve-v2"
	for _, c := range []struct{ protocol, url, path, want string }{
		{chat, "http://h:8000", "", "http://h:8000/v1/chat/completions"},
		{chat, "http://h:8000/", "", "http://h:8000/v1/chat/completions"},
		{chat, "h:8000", "", "http://h:8000/v1/chat/completions"},
		{chat, "127.0.0.1:8000", "", "http://127.0.0.1:8000/v1/chat/completions"},
		{chat, "localhost:8000/v1", "", "http://localhost:8000/v1/chat/completions"},
		{chat, "[::1]:8000", "", "http://[::1]:8000/v1/chat/completions"},
		{chat, " http://h/v1 ", "", "http://h/v1/chat/completions"},
		{chat, "http://h/v1/", "/v1/chat/completions", "http://h/v1/chat/completions"},
		{chat, "https://h/openai/v1", "/v1/chat/completions", "https://h/openai/v1/chat/completions"},
		{chat, "http://h/gateway", "", "http://h/gateway/chat/completions"},
		{chat, "http://h/v1/chat/completions", "", "http://h/v1/chat/completions"},
		{chat, "http://h/v1/completions", "", "http://h/v1/completions"},
		{chat, "http://h/v1", "/v1/custom", "http://h/v1/custom"},
		{chat, "http://h", "/v1/custom?a=1", "http://h/v1/custom?a=1"},
		{chat, "http://h/v1?api-version=2", "", "http://h/v1/chat/completions?api-version=2"},
		{"openai-completions", "http://h/v1", "", "http://h/v1/completions"},
		{kserve, "http://h", "", "http://h/v2/models/m/infer"},
		{kserve, "http://h/v2", "", "http://h/v2/models/m/infer"},
		{kserve, "http://h/seldon/ns/x/v2/", "", "http://h/seldon/ns/x/v2/models/m/infer"},
		{kserve, "http://h/v2/models/other/infer", "", "http://h/v2/models/other/infer"},
		{"http", "http://h/some/where", "/else", "http://h/some/where"},
		{"http", "http://h", "/else", "http://h/else"},
		{"http", "http://h", "/a%2Fb", "http://h/a%2Fb"},
		{"bentoml", "http://h/classify", "", "http://h/classify"},
		{"kserve-v2-grpc", "grpc://h:9000", "", "http://h:9000/inference.GRPCInferenceService/ModelInfer"},
		{"kserve-v2-grpc", "grpcs://h:9000", "", "https://h:9000/inference.GRPCInferenceService/ModelInfer"},
		{chat, "http://me:pw@h/v1", "", "http://h/v1/chat/completions"},
	} {
		p := plan(profiles.Target{Protocol: c.protocol, Path: c.path, Model: "m"}, short)
		u, err := Endpoint(p, c.url)
		if err != nil {
			t.Errorf("%s %s: %v", c.protocol, c.url, err)
			continue
		}
		if got := u.String(); got != c.want {
			t.Errorf("%s at %s with the path %q goes to %s, want %s", c.protocol, c.url, c.path, got, c.want)
		}
		// What it says can be said again.
		if again, err := Endpoint(p, u.String()); err != nil || again.String() != c.want {
			t.Errorf("%s at %s goes to %v, want %s", c.protocol, u, again, c.want)
		}
	}
}

func TestAddressesThatAreNoneAreNamed(t *testing.T) {
	for _, c := range []struct{ url, want, secret string }{
		{"ftp://h/x", `ftp://h/x: scheme "ftp"`, ""},
		{"http://", "http://: names no host", ""},
		{"http:///v1", "http:///v1: names no host", ""},
		{":8000", ":8000: names no host", ""},
		{"http://h:port", "http://h:port: invalid port", ""},
		{"http://me:s3cret@h:port/x?key=s3cret", "http://h:port/x: not an address", "s3cret"},
		{"ftp://me:s3cret@h?key=s3cret", "ftp://h: ", "s3cret"},
		{"http://me:s3/cret@h:port", "http://h:port: not an address", "s3"},
		{"", `"": names no host`, ""},
	} {
		_, _, err := ParseURL(c.url)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "try http://HOST:PORT") {
			t.Errorf("ParseURL(%q) = %v, want %q and what to try", c.url, err, c.want)
		}
		if err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) {
			t.Errorf("ParseURL(%q) tells the secret: %v", c.url, err)
		}
	}
}

func TestTheUserOfAURLIsAHeader(t *testing.T) {
	var got string
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") })
	o := Options{Profile: plan(profiles.Target{}, short), URL: strings.Replace(srv, "http://", "me:pw@", 1)}
	if _, err := SendProbe(t.Context(), o); err != nil || got != "Basic bWU6cHc=" {
		t.Errorf("Authorization %q, %v", got, err)
	}
	o.Secrets = http.Header{"Authorization": {"Bearer t"}}
	if _, err := SendProbe(t.Context(), o); err != nil || got != "Bearer t" {
		t.Errorf("a header that was given yields to the URL's: %q, %v", got, err)
	}
}

func TestRequestFieldsAreMergedIntoTheBody(t *testing.T) {
	whole := new(false)
	answer := `{"choices":[{"message":{"content":"a"},"text":"a","finish_reason":"stop"}],"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[1]}]}`
	type fields = map[string]any
	for _, c := range []struct {
		name     string
		protocol string
		target   fields
		class    fields
		want     fields // of the body; nil = not there
	}{
		{"nothing is added", "openai-chat", nil, nil, fields{"max_tokens": 4.0, "temperature": nil}},
		{"fields of the target", "openai-chat", fields{"ignore_eos": true, "temperature": 0.5, "stop": []any{"a\"b"}}, nil,
			fields{"ignore_eos": true, "temperature": 0.5, "stop": []any{"a\"b"}, "max_tokens": 4.0}},
		{"a class comes first", "openai-completions", fields{"temperature": 0.5, "seed": 1}, fields{"temperature": 1.0}, fields{"temperature": 1.0, "seed": 1.0}},
		{"a field of hpatune's is taken out", "openai-chat", fields{"max_tokens": nil}, nil, fields{"max_tokens": nil}},
		{"and replaced", "openai-chat", fields{"max_tokens": 77}, nil, fields{"max_tokens": 77.0}},
		{"the new name of max_tokens stands alone", "openai-chat", fields{"max_completion_tokens": 9}, nil, fields{"max_tokens": nil, "max_completion_tokens": 9.0}},
		{"parameters of KServe", "kserve-v2", fields{"parameters": fields{"n": 1}}, nil, fields{"parameters": fields{"n": 1.0}}},
		{"of BentoML", "bentoml", nil, fields{"top": 3}, fields{"top": 3.0}},
	} {
		p := plan(profiles.Target{Protocol: c.protocol, Stream: whole, Request: c.target}, short)
		p.Classes = []profiles.Class{{Name: "a", Request: c.class}}
		got, _, _ := see(t, p, 1, "application/json", answer)
		var body fields
		if err := json.Unmarshal([]byte(got[0].body), &body); err != nil {
			t.Errorf("%s: %v: %s", c.name, err, got[0].body)
			continue
		}
		for k, want := range c.want {
			v, there := body[k]
			if there != (want != nil) || fmt.Sprint(v) != fmt.Sprint(want) {
				t.Errorf("%s: %s is %v in %s, want %v", c.name, k, v, got[0].body, want)
			}
		}
	}
	p := plan(profiles.Target{Protocol: "openai-chat", Request: fields{"stream_options": nil}}, short)
	if got, _, _ := see(t, p, 1, "text/event-stream", "data: [DONE]\n\n"); strings.Contains(got[0].body, "stream_options") {
		t.Errorf("stream_options: null is sent: %s", got[0].body)
	}
}

// One request before the load says what the load would meet.
func TestAProbeSaysWhatTheLoadWouldMeet(t *testing.T) {
	chatServer := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			fmt.Fprint(w, `{"data":[{"id":"small"},{"id":"large"}]}`)
		case "/v1/chat/completions":
			b, _ := io.ReadAll(r.Body)
			var q struct{ Model string }
			if json.Unmarshal(b, &q); q.Model != "small" {
				w.WriteHeader(404)
				fmt.Fprintf(w, `{"error":{"message":"The model %s does not exist."}}`, q.Model)
				return
			}
			sse(w, token, finished, fiveUsed, "[DONE]")
		default:
			http.NotFound(w, r)
		}
	}
	for _, c := range []struct {
		name     string
		target   profiles.Target
		url      string // "" = the server's
		want     string // in its line
		models   string
		hopeless bool
	}{
		{"a good answer", profiles.Target{Protocol: "openai-chat", Model: "small"}, "", "/v1/chat/completions: 200, model small, first token after ", "[]", false},
		{"another model", profiles.Target{Protocol: "openai-chat"}, "", "HTTP 404: The model default does not exist.", "[large small]", true},
		{"another path", profiles.Target{Protocol: "openai-chat", Path: "/nowhere"}, "", "/nowhere: HTTP 404: 404 page not found", "[large small]", true},
		{"nobody there", profiles.Target{}, "http://127.0.0.1:1", "nothing listens at 127.0.0.1:1 (connection refused)", "[]", true},
		{"a plain page", profiles.Target{Path: "/v1/models"}, "", "GET http://", "[]", false},
	} {
		url := c.url
		if url == "" {
			url = serve(t, chatServer)
		}
		got, err := SendProbe(t.Context(), Options{Profile: plan(c.target, short), URL: url, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(got.String(), c.want) || fmt.Sprint(got.Models) != c.models || got.Hopeless() != c.hopeless {
			t.Errorf("%s: %s, models %v, hopeless %v; want %q, %s, %v", c.name, got, got.Models, got.Hopeless(), c.want, c.models, c.hopeless)
		}
		if (got.Error == "") != (got.Request.Outcome == results.OK) {
			t.Errorf("%s: outcome %v, error %q", c.name, got.Request.Outcome, got.Error)
		}
	}
	busy := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) })
	if got, _ := SendProbe(t.Context(), Options{Profile: plan(chat, short), URL: busy}); got.Hopeless() || got.Error != "HTTP 503" {
		t.Errorf("a server that is busy: %s, hopeless %v", got, got.Hopeless())
	}
}
