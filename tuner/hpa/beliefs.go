package hpa

import "embed"

// Beliefs holds testdata/beliefs: what people believe about the HPA and what it really does, one
// runnable script each. Package scenario runs them and makes a page of them.
//
//go:embed testdata/beliefs
var Beliefs embed.FS
