package loadgen

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hpatune/hpatune/profiles"
)

// newProtocol returns how requests to the profile's target look, and what a
// good answer is.
//
//	http                GET, or POST with a body; good = 2xx and all its bytes
//	openai-chat         POST /v1/chat/completions; good = choices with messages and a finish reason; ends in [DONE]
//	openai-completions  POST /v1/completions; the same with texts
//	kserve-v2           POST /v2/models/MODEL/infer; good = outputs with name, datatype, shape and data (Triton too)
//	kserve-v2-grpc      inference.GRPCInferenceService/ModelInfer; the same
//	bentoml             POST /predict; good = 2xx, whose JSON is JSON and holds no error
//
// A body comes from the profile's files where it names some. Else chat and
// completions write theirs, kserve-v2 sends the prompt as a BYTES tensor
// "text", and bentoml {"text": prompt}.
func newProtocol(p *profiles.Profile, seed uint64) (*protocol, error) {
	t := p.Target
	w, err := newWriter(p.Prompts, p.Files, seed)
	if err != nil {
		return nil, err
	}
	fixed, tmpl, err := fileBodies(t, p.Files)
	if err != nil {
		return nil, err
	}
	model := cmp.Or(t.Model, "default")
	proto := &protocol{
		name:        t.Protocol,
		method:      http.MethodPost,
		stream:      t.Streams(),
		fixed:       fixed,
		texts:       w,
		contentType: "application/json",
	}
	switch t.Protocol {
	case "", "http":
		proto.name, proto.path, proto.contentType = "http", "/", ""
		if fixed == nil && tmpl == nil {
			proto.method = http.MethodGet
		}
		proto.method = cmp.Or(t.Method, proto.method)
	case "openai-chat", "openai-completions":
		chat := t.Protocol == "openai-chat"
		proto.path, proto.events, proto.judge = "/v1/completions", openaiStream, judgeCompletion(chat)
		if chat {
			proto.path = "/v1/chat/completions"
		}
		proto.write = func(dst []byte, it item) []byte {
			return w.completion(dst, it, chat, proto.stream, model, proto.extraOf(it))
		}
	case "kserve-v2":
		proto.path, proto.base, proto.judge = "/v2/models/"+url.PathEscape(model)+"/infer", "/v2", judgeInfer
		proto.write = w.infer
	case "kserve-v2-grpc":
		proto.path, proto.grpc, proto.contentType = inferMethod, true, "application/grpc"
		for i, p := range fixed {
			if fixed[i].body, err = inferRequest(p.body, model); err != nil {
				return nil, fmt.Errorf("target body %s: %w", cmp.Or(t.Body, t.Files), err)
			}
			fixed[i].contentType = proto.contentType
		}
		plain := w.infer
		if tmpl != nil {
			plain = func(dst []byte, it item) []byte { return tmpl.write(dst, it, w, model) }
			// A template that makes no request is found before the first one is due.
			if _, err := inferRequest(plain(nil, item{}), model); err != nil {
				return nil, fmt.Errorf("target body %s: %w", t.Body, err)
			}
		}
		proto.write = func(dst []byte, it item) []byte {
			b, _ := inferRequest(plain(dst, it), model) // what it is made of was checked above
			return b
		}
		return proto, nil
	case "bentoml":
		proto.path, proto.judge = "/predict", judgeJSON
		proto.write = func(dst []byte, it item) []byte {
			dst = append(dst, `{"text":"`...)
			return append(w.text(dst, it), `"}`...)
		}
	default:
		return nil, fmt.Errorf("protocol %q: unknown; try one of %s", t.Protocol, strings.Join(profiles.Protocols, ", "))
	}
	if err := proto.merge(t, p.Classes); err != nil {
		return nil, err
	}
	if tmpl != nil {
		proto.contentType = tmpl.contentType
		proto.write = func(dst []byte, it item) []byte { return tmpl.write(dst, it, w, model) }
	}
	return proto, nil
}

// completion writes the body of a chat or text completion, but for what the
// request has of its own.
func (w *writer) completion(dst []byte, it item, chat, stream bool, model string, own extra) []byte {
	dst = append(dst, `{"model":"`...)
	dst = appendEscaped(dst, model)
	if chat {
		dst = append(dst, `","messages":`...)
		dst = w.chat(dst, it)
	} else {
		dst = append(dst, `","prompt":"`...)
		dst = append(w.text(dst, it), '"')
	}
	if it.Max > 0 && !own.says("max_tokens", "max_completion_tokens") {
		dst = append(dst, `,"max_tokens":`...)
		dst = appendInt(dst, it.Max)
	}
	if stream {
		dst = append(dst, `,"stream":true`...)
		if !own.says("stream_options") {
			dst = append(dst, `,"stream_options":{"include_usage":true}`...)
		}
	}
	return append(dst, '}')
}

// infer writes an inference request with the prompt as its one tensor.
func (w *writer) infer(dst []byte, it item) []byte {
	dst = append(dst, `{"id":"`...)
	dst = appendInt(dst, it.Index)
	dst = append(dst, `","inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["`...)
	return append(w.text(dst, it), `"]}]}`...)
}

// judgeInfer judges an answer of the KServe v2 inference protocol: at least one
// output, each with its name, datatype, shape and data, no error inside.
// Triton's answers whose tensors follow the JSON in binary are judged by their
// JSON part, which says how long the data is.
func judgeInfer(_ string, body []byte) verdict {
	var o struct {
		Error   json.RawMessage `json:"error"`
		Outputs []struct {
			Name       string          `json:"name"`
			Datatype   string          `json:"datatype"`
			Shape      []int64         `json:"shape"`
			Data       json.RawMessage `json:"data"`
			Parameters struct {
				Size *int64 `json:"binary_data_size"`
			} `json:"parameters"`
		} `json:"outputs"`
	}
	if err := json.NewDecoder(strings.NewReader(string(body))).Decode(&o); err != nil {
		return inBand("answer is not an inference response: %v", err)
	}
	if e := decoded(o.Error); full(e) {
		return inBand("error in a 200: %s", orNothing(wordsOf(e)))
	}
	if len(o.Outputs) == 0 {
		return inBand("answer has no outputs")
	}
	for _, out := range o.Outputs {
		if out.Name == "" || out.Datatype == "" || out.Shape == nil {
			return inBand("output lacks its name, datatype or shape")
		}
		if n := len(out.Data); (n == 0 || string(out.Data) == "null") && out.Parameters.Size == nil {
			return inBand("output %s has no data", out.Name)
		}
	}
	return verdict{}
}
