package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What a server says of its own failure comes in many shapes. All that were
// seen are read here, on the slow path: an answer that failed is rare.

// abortedReasons are the finish reasons with which a server says that it broke
// an answer off: vLLM at scale-down, shutdown and sleep, SGLang at an abort
// (as an object), gateways whose provider went away.
var abortedReasons = []string{"abort", "aborted", "error", "cancel", "canceled", "cancelled", "failed"}

// abortedBy returns the reason for which the server broke an answer off, from
// a finish_reason as written: a text, or an object with a type. ok is false
// where the reason is a good end (stop, length, tool_calls, …) or none.
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

// full reports whether a value says something: false, 0, "", [], {} and objects
// whose members say nothing do not.
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

// messageNames are the members in which servers put their words, the most
// telling first.
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

// place names where FastAPI found a mistake: ["body", "model"] is "body.model: ".
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
