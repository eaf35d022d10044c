package store

import (
	"maps"
	"slices"

	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/results"
)

// clean returns meta without secrets; the caller's is not changed. It is the last check,
// not the only one: files with headers are never copied, and the load generator does not
// log them.
func clean(meta results.Meta) results.Meta {
	meta.Target.URL = secrets.Message(meta.Target.URL)
	meta.Why = secrets.Message(meta.Why)
	meta.Client.Aborted = secrets.Message(meta.Client.Aborted)
	meta.Errors = slices.Clone(meta.Errors)
	for i := range meta.Errors {
		meta.Errors[i] = secrets.Message(meta.Errors[i])
	}
	meta.Context = maps.Clone(meta.Context)
	for k, v := range meta.Context {
		meta.Context[k] = secrets.Message(v)
	}
	return meta
}
