package store

import (
	"maps"
	"regexp"
	"slices"

	"github.com/hpatune/hpatune/results"
)

// struck stands where a secret was.
const struck = "REDACTED"

var secrets = []struct {
	find *regexp.Regexp
	put  string
}{
	// Who is before the @ of a URL.
	{regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)[^/\s"'@]+@`), "${1}" + struck + "@"},
	// The values of a URL's query and its fragment.
	{regexp.MustCompile(`([?&][A-Za-z0-9_.\[\]%-]+=)[^&\s"'#,}]+`), "${1}" + struck},
	{regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://[^\s"'#]+#)[^\s"',}]+`), "${1}" + struck},
	// Authorization: Bearer …, X-Api-Key: …, token=…, also as YAML and JSON.
	{regexp.MustCompile(`(?i)(["']?\b(?:proxy-)?authorization["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^,}\n]+)`), "${1}" + struck},
	{regexp.MustCompile(`(?i)(["']?\b[a-z0-9_-]*(?:api[-_]?key|access[-_]?token|auth[-_]?token|secret|password|passwd|cookie|credential)s?["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\n]+)`), "${1}" + struck},
	{regexp.MustCompile(`(?i)(\btoken["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\n]+)`), "${1}" + struck},
	{regexp.MustCompile(`(?i)\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{4,}`), "${1} " + struck},
}

// redact strikes out what looks like a secret. It is the last door, not the
// only one: headers come from files that are never copied, and the load
// generator does not log them.
func redact(text string) string {
	for _, s := range secrets {
		text = s.find.ReplaceAllString(text, s.put)
	}
	return text
}

// clean returns meta without secrets; the caller's is left as it was.
func clean(meta results.Meta) results.Meta {
	meta.Target.URL = redact(meta.Target.URL)
	meta.Why = redact(meta.Why)
	meta.Client.Aborted = redact(meta.Client.Aborted)
	meta.Errors = slices.Clone(meta.Errors)
	for i := range meta.Errors {
		meta.Errors[i] = redact(meta.Errors[i])
	}
	meta.Context = maps.Clone(meta.Context)
	for k, v := range meta.Context {
		meta.Context[k] = redact(v)
	}
	return meta
}
