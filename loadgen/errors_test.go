package loadgen

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"addresses and ports", "read tcp 127.0.0.1:41234->10.0.0.7:8000: connection reset by peer", "read tcp ADDR->ADDR: connection reset by peer"},
		{"IPv6", "dial tcp [::1]:8080: connect: connection refused", "dial tcp ADDR: connect: connection refused"},
		{"a name keeps its name, not its port", "lookup svc.ns.svc:8080 failed", "lookup svc.ns.svc:PORT failed"},
		{"a status code stays", "HTTP 503: overloaded", "HTTP 503: overloaded"},
		{"counts go", "maximum context length is 4096 tokens, got 131072", "maximum context length is N tokens, got N"},
		{"request ids go", "request 550e8400-e29b-41d4-a716-446655440000 failed", "request N failed"},
		{"ids with a prefix go", "chatcmpl-BlYWz1234567 failed", "N failed"},
		{"pointers go", "bad pointer 0xc000123456", "bad pointer N"},
		{"hexadecimal words stay", "dead beef facade", "dead beef facade"},
		{"versions stay", "TLS 1.3 alert, HTTP/1.1", "TLS 1.3 alert, HTTP/1.1"},
		{"nothing", "", ""},
	} {
		if got := fold(c.text); got != c.want {
			t.Errorf("%s: fold(%q) = %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("read tcp 127.0.0.1:1->[::1]:2: x")
	f.Add("\xff\xfeé 12345.")
	f.Fuzz(func(t *testing.T, text string) {
		if got := fold(text); len(got) > 200 || !utf8.ValidString(got) && utf8.ValidString(text) {
			t.Errorf("fold(%q) = %q", text, got)
		}
	})
}

func TestAStormOfOneErrorIsOneLine(t *testing.T) {
	tb := table{limit: maxErrors, other: otherErrors}
	for i := range 60_000 {
		tb.of(fold(fmt.Sprintf("read tcp 127.0.0.1:%d->127.0.0.1:8000: read: connection reset by peer", i+1024)))
	}
	if got := tb.all(); len(got) != 1 {
		t.Errorf("%d texts: %q", len(got), got[:min(5, len(got))])
	}
}

func TestTheErrorTableStaysSmall(t *testing.T) {
	var told []string
	tb := table{limit: maxErrors, other: otherErrors, added: func(i int32, text string) { told = append(told, text) }}
	var last int32
	for i := range 10_000 {
		last = tb.of("error " + strings.Repeat("x", i))
	}
	if all := tb.all(); len(all) != maxErrors || all[last] != otherErrors || len(told) != maxErrors {
		t.Errorf("%d texts, told %d, the last is %q", len(all), len(told), all[last])
	}
	if tb.of("error xx") != 2 {
		t.Error("a known text lost its number")
	}
}
