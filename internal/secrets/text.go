// Package secrets removes secrets from what is written: well-known forms of tokens
// from texts, values with names that are not known to be harmless from headers and
// queries, and everything that is not on a list from Kubernetes objects. It leaves
// the rest unchanged.
package secrets

import (
	"regexp"
	"strings"
)

// Struck stands where a secret was.
const Struck = "REDACTED"

// shapes are tokens that can be recognised by their form, wherever they are.
//
// Source: GitHub's and GitLab's lists of secret scanning patterns, and the providers' own
// pages on their key formats.
var shapes = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), Struck},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), Struck}, // JWT
	{
		regexp.MustCompile(`\bsk-[A-Za-z0-9_-]{8,}`),
		Struck,
	}, // OpenAI, Anthropic, LiteLLM, vLLM's examples
	{regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,})`), Struck}, // GitHub
	{regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{16,}`), Struck},                                    // GitLab
	{regexp.MustCompile(`\bxox[abeoprs]-[A-Za-z0-9-]{8,}`), Struck},                               // Slack
	{regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`), Struck},                                 // AWS
	{regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{30,}`), Struck},                                      // Google
	{
		regexp.MustCompile(`\bya29\.[A-Za-z0-9_-]{16,}`),
		Struck,
	}, // Google OAuth
	{
		regexp.MustCompile(`\b(?:hf|gsk|r8)_[A-Za-z0-9]{20,}`),
		Struck,
	}, // Hugging Face, Groq, Replicate
	{regexp.MustCompile(`\bnvapi-[A-Za-z0-9_-]{16,}`), Struck}, // NVIDIA
	{
		regexp.MustCompile(`\bdapi[0-9a-f]{32}\b`),
		Struck,
	}, // Databricks
	{
		regexp.MustCompile(`(?i)\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{16,}`),
		"${1} " + Struck,
	}, // of a header
	{
		regexp.MustCompile(`\b([A-Za-z][A-Za-z0-9+.-]*://)[^/\s"'@:]+(?::[^/\s"'@]*)?@`),
		"${1}" + Struck + "@",
	}, // who logs in to a URL
}

// query is one NAME=VALUE of a URL's query.
var query = regexp.MustCompile(`([?&])([A-Za-z0-9_.\[\]-]+)=([^&\s"'#]+)`)

// secretName matches names of query fields, flags and settings whose value gives access.
// Whole words only: max_tokens and tokenizer do not match.
var secretName = regexp.MustCompile(
	`(?i)(^|[-_.])(api-?_?key|apikey|key|token|secret|password|passwd|pwd|pass|sig|signature|credentials?|auth|authorization|code|cookie|session|sas)($|[-_.])`,
)

// SecretName reports whether a name indicates a secret: api_key, X-Auth-Token, sig. It does
// not know all such names: use it if the rest is free text, and a list of harmless names if
// it is not.
func SecretName(name string) bool { return secretName.MatchString(name) }

// Text returns text without tokens of known forms, without the user of a URL, and without
// the values of query fields whose names indicate a secret. Nothing else is changed.
func Text(text string) string {
	for _, s := range shapes {
		text = s.find.ReplaceAllString(text, s.put)
	}
	return query.ReplaceAllStringFunc(text, func(field string) string {
		name, _, _ := strings.Cut(field[1:], "=")
		if !SecretName(name) {
			return field
		}
		return field[:1] + name + "=" + Struck
	})
}

// said are ways in which a message names a secret before it quotes it.
var said = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(["']?\b(?:proxy-)?authorization["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^,}\n]+)`),
	regexp.MustCompile(
		`(?i)(["']?\b[a-z0-9_-]*(?:api[-_]?key|access[-_]?token|auth[-_]?token|secret|password|passwd|cookie|credential)s?["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\n]+)`,
	),
	regexp.MustCompile(`(?i)(\btoken(?:["']\s*:|=)\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\n]+)`),
	// A sentence may say "first token = end".
	regexp.MustCompile(`(?i)(\btoken\s+=\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\n]*[0-9][^\s,}\n]*|[^\s,}\n]{12,})`),
	regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://[^\s"'#]+#)[^\s"',}]+`), // a URL's fragment
}

// Message returns somebody else's message (an error, an event) in the form in which it may
// be stored: Text, and without what it calls a secret: api_key=…, Authorization: ….
func Message(text string) string {
	text = Text(text)
	for _, find := range said {
		text = find.ReplaceAllString(text, "${1}"+Struck)
	}
	return text
}

// harmless are headers whose values let nobody in.
var harmless = map[string]bool{
	"accept":                          true,
	"accept-charset":                  true,
	"accept-encoding":                 true,
	"accept-language":                 true,
	"anthropic-beta":                  true,
	"anthropic-version":               true,
	"cache-control":                   true,
	"connection":                      true,
	"content-encoding":                true,
	"content-language":                true,
	"content-type":                    true,
	"expect":                          true,
	"host":                            true,
	"inference-header-content-length": true,
	"keep-alive":                      true,
	"openai-beta":                     true,
	"origin":                          true,
	"pragma":                          true,
	"prefer":                          true,
	"range":                           true,
	"te":                              true,
	"traceparent":                     true,
	"tracestate":                      true,
	"user-agent":                      true,
	"via":                             true,
	"x-backend":                       true,
	"x-correlation-id":                true,
	"x-forwarded-for":                 true,
	"x-forwarded-host":                true,
	"x-forwarded-proto":               true,
	"x-gateway-model-name":            true,
	"x-model":                         true,
	"x-real-ip":                       true,
	"x-request-id":                    true,
	"x-scope-orgid":                   true,
}

// HarmlessHeader reports whether a header with this name may be stored with its value. Any
// other may be a key under an unknown name.
func HarmlessHeader(name string) bool { return harmless[strings.ToLower(name)] }

// Header returns what may be stored of a header's value.
func Header(name, value string) string {
	if HarmlessHeader(name) {
		return Text(value)
	}
	return Struck
}
