package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Servers report failures in many forms. All known ones are handled here, on the slow path,
// since a failed answer is rare.

// abortedReasons are the finish reasons with which a server reports that it aborted an
// answer: vLLM at scale-down, shutdown and sleep, SGLang at an abort (as an object),
// gateways that lost their provider.
var abortedReasons = []string{"abort", "aborted", "error", "cancel", "canceled", "cancelled", "failed"}

// abortedBy returns the reason for which the server aborted an answer, from a finish_reason
// as written: a text, or an object with a type. ok is false if the reason is a good end
// (stop, length, tool_calls, …) or none.
func abortedBy(reason json.RawMessage) (text string, ok bool) {
	name, more := "", ""
	switch v := decoded(reason).(type) {
	case string:
		name = v
	case map[string]any:
		for _, k := range []string{"type", "reason", "finish_reason"} {
			if s, is := v[k].(string); is && name == "" {
				name = s
			}
		}
		more = wordsOf(v["message"])
	}
	if !slices.Contains(abortedReasons, strings.ToLower(strings.TrimSpace(name))) {
		return "", false
	}
	text = fmt.Sprintf("the server aborted the answer (finish_reason %s)", name)
	if more != "" {
		text += ": " + more
	}
	return text, true
}

// failureIn looks for a failure in a JSON object that came with a 200: an
// answer, or a chunk of one. named says that the event was called an error, so
// that whatever it holds is the server's words.
//
//	{"error": "…"}, {"error": {"message": "…"}}, {"errors": […]}   OpenAI, TGI, gateways
//	{"object": "error", "message": "…"}                            vLLM before 0.10
//	{"detail": "…"}, {"detail": [{"loc": […], "msg": "…"}]}        FastAPI; only without choices
//	{"choices": [{"error": …}]}, {"choices": [{"finish_reason": "abort"}]}
func failureIn(b []byte, named bool) (text string, failed bool) {
	all, is := decoded(b).(map[string]any)
	if !is {
		if said := wordsOf(decoded(b)); named {
			if said == "" {
				said = strings.TrimSpace(string(b))
			}
			return orNothing(said), true
		}
		return "", false
	}
	for _, k := range []string{"error", "errors"} {
		if full(all[k]) {
			return orNothing(wordsOf(all[k])), true
		}
	}
	choices, _ := all["choices"].([]any)
	for _, c := range choices {
		if choice, is := c.(map[string]any); is && full(choice["error"]) {
			return orNothing(wordsOf(choice["error"])), true
		}
	}
	if all["object"] == "error" || named {
		return orNothing(wordsOf(all)), true
	}
	if len(choices) == 0 && full(all["detail"]) {
		return orNothing(wordsOf(all["detail"])), true
	}
	var reasons struct {
		Choices []struct {
			FinishReason json.RawMessage `json:"finish_reason"`
		} `json:"choices"`
	}
	if json.Unmarshal(b, &reasons) == nil {
		for _, c := range reasons.Choices {
			if text, aborted := abortedBy(c.FinishReason); aborted {
				return text, true
			}
		}
	}
	return "", false
}

// orNothing is what a server said, or that it said nothing.
func orNothing(said string) string {
	if said == "" {
		return "no message"
	}
	return said
}

// decoded is a JSON value; nil where it is none.
func decoded(b []byte) (v any) {
	if json.Unmarshal(bytes.TrimSpace(b), &v) != nil {
		return nil
	}
	return v
}

// full reports whether a value contains information: false, 0, "", [], {} and objects with
// only such members do not.
func full(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return strings.TrimSpace(v) != ""
	case []any:
		return slices.ContainsFunc(v, full)
	case map[string]any:
		for _, m := range v {
			if full(m) {
				return true
			}
		}
		return false
	}
	return true
}

// messageNames are the members in which servers put their messages, the most specific
// first.
var messageNames = []string{
	"message", "msg", "detail", "error", "errors", "error_message", "reason", "description", "title", "type", "code",
}

// wordsOf returns what a value says to a person: a text; the message of an
// object; the messages of a list; else the value as JSON. "" = nothing.
func wordsOf(v any) string {
	if !full(v) {
		return ""
	}
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case []any:
		var list []string
		for _, e := range v {
			if s := wordsOf(e); s != "" && len(list) < 3 {
				list = append(list, s)
			}
		}
		return strings.Join(list, "; ")
	case map[string]any:
		for _, k := range messageNames {
			if s := wordsOf(v[k]); s != "" {
				return place(v["loc"]) + s
			}
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// place is where FastAPI found a mistake: ["body", "model"] becomes "body.model: ".
func place(loc any) string {
	list, _ := loc.([]any)
	var parts []string
	for _, p := range list {
		parts = append(parts, fmt.Sprint(p))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ".") + ": "
}
