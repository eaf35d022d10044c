// Package plain rewrites errors of the standard library in plain English: what
// Go calls "dial tcp 127.0.0.1:1: connect: connection refused" is "nothing listens at
// 127.0.0.1:1 (connection refused)".
package plain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// Error returns the text of err, with the standard library's errors about files, networks,
// certificates and numbers in plain words. Other texts stay as they are; a path or URL that
// is repeated is named once. It is "" for nil.
func Error(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for _, r := range said(err) {
		text = strings.Replace(text, r.goes, r.plain, 1)
	}
	for _, r := range texts {
		text = r.found.ReplaceAllString(text, r.plain)
	}
	return once(text)
}

// replacement is an error as Go prints it, and in plain words.
type replacement struct{ goes, plain string }

// said lists the plain words for err and all errors that it wraps, outermost first.
func said(err error) (out []replacement) {
	if text := words(err); text != "" {
		return []replacement{{err.Error(), text}}
	}
	switch e := err.(type) { //nolint:errorlint // it walks the chain, one error at a time
	case interface{ Unwrap() error }:
		if in := e.Unwrap(); in != nil {
			return said(in)
		}
	case interface{ Unwrap() []error }:
		for _, in := range e.Unwrap() {
			out = append(out, said(in)...)
		}
	}
	return out
}

// words is one error of the standard library in plain words; "" = unknown here.
func words(err error) string {
	switch e := err.(type) { //nolint:errorlint // the error itself, not what it wraps
	case *url.Error:
		if e.Op == "parse" {
			return fmt.Sprintf("%q is not a URL: %s", e.URL, Error(e.Err))
		}
		if errors.Is(e.Err, io.EOF) {
			return e.URL + ": the server closed the connection without an answer"
		}
		return e.URL + ": " + Error(e.Err)
	case *net.OpError:
		return network(e)
	case *net.DNSError:
		return lookup(e)
	case *fs.PathError:
		return file(e)
	case *strconv.NumError:
		if errors.Is(e.Err, strconv.ErrRange) {
			return fmt.Sprintf("%q is too large", e.Num)
		}
		return fmt.Sprintf("%q is not a number", e.Num)
	case x509.UnknownAuthorityError:
		return "the server's certificate is signed by an authority that is not trusted here"
	case x509.HostnameError:
		return "the server's certificate is not for the host " + e.Host
	case tls.RecordHeaderError:
		return "the server does not answer with TLS; is it http instead of https?"
	}
	if err == io.ErrUnexpectedEOF { //nolint:errorlint // likewise
		return "ends in the middle, as if cut off"
	}
	if err == context.DeadlineExceeded { //nolint:errorlint // likewise
		return "no answer in time (deadline exceeded)"
	}
	if err == context.Canceled { //nolint:errorlint // likewise
		return "interrupted"
	}
	return ""
}

// network says what failed on a connection, and where to.
func network(e *net.OpError) string {
	var dns *net.DNSError
	if errors.As(e.Err, &dns) {
		return lookup(dns)
	}
	at := "the server"
	if e.Addr != nil {
		at = e.Addr.String()
	}
	switch {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return "nothing listens at " + at + " (connection refused)"
	case errors.Is(e.Err, syscall.ECONNRESET):
		return at + " closed the connection (connection reset by peer)"
	case errors.Is(e.Err, syscall.EPIPE):
		return at + " closed the connection (broken pipe)"
	case errors.Is(e.Err, syscall.EHOSTUNREACH), errors.Is(e.Err, syscall.ENETUNREACH):
		return at + " cannot be reached (no route to host)"
	case e.Timeout() && e.Op == "dial":
		return "no connection to " + at + " in time (i/o timeout)"
	case e.Timeout():
		return "no answer from " + at + " in time (i/o timeout)"
	}
	return ""
}

// lookup says why a host's name has no address.
func lookup(e *net.DNSError) string {
	switch {
	case e.IsNotFound:
		return fmt.Sprintf("host %s not found (no such host)", e.Name)
	case e.IsTimeout:
		return fmt.Sprintf("the name server did not answer for host %s in time", e.Name)
	}
	return fmt.Sprintf("the name server has no answer for host %s (%s)", e.Name, e.Err)
}

// file says what failed with a file or folder.
func file(e *fs.PathError) string {
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		return e.Path + ": no such file or folder"
	case errors.Is(e.Err, fs.ErrExist):
		return e.Path + ": already exists"
	case errors.Is(e.Err, syscall.EISDIR):
		return e.Path + ": is a folder, not a file"
	case errors.Is(e.Err, syscall.ENOTDIR):
		return e.Path + ": part of this path is a file, not a folder"
	case errors.Is(e.Err, syscall.ENOSPC):
		return e.Path + ": the disk is full (no space left on device)"
	}
	return e.Path + ": " + Error(e.Err)
}

// texts are rewritten if only the text of an error is left.
var texts = []struct {
	found *regexp.Regexp
	plain string
}{
	{regexp.MustCompile(`error converting YAML to JSON: yaml: (line (\d+): )?`), "not YAML: $1"},
	{regexp.MustCompile(`error unmarshaling JSON: while decoding JSON: json: `), ""},
	{regexp.MustCompile(`error loading config file "([^"]*)": yaml: `), "$1: not YAML: "},
	{
		regexp.MustCompile(`invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER ` +
			`environment variable`),
		"no cluster is configured",
	},
	{regexp.MustCompile(`strconv\.(?:Parse(?:Float|Int|Uint)|Atoi): parsing ("[^"]*"): invalid syntax`),
		"$1 is not a number"},
	{regexp.MustCompile(`strconv\.(?:Parse(?:Float|Int|Uint)|Atoi): parsing ("[^"]*"): value out of range`),
		"$1 is too large"},
	{regexp.MustCompile(`time: (?:unknown unit "[^"]*" in|missing unit in|invalid) duration ("[^"]*")`),
		"$1 is not a duration; write 90s, 5m or 1h30m"},
	{regexp.MustCompile(`http: server gave HTTP response to HTTPS client`), "the server answers with http, not https"},
	{regexp.MustCompile(`http2: timeout awaiting response headers`), "no answer in time"},
	{regexp.MustCompile(`net/http: timeout awaiting response headers`), "no answer in time"},
	{regexp.MustCompile(` \(Client\.Timeout exceeded while (?:awaiting headers|reading body)\)`), ""},
	{regexp.MustCompile(`net/http: TLS handshake timeout`), "no TLS handshake in time"},
	{regexp.MustCompile(`gzip: invalid (?:header|checksum)`), "not a valid gzip file"},
	{regexp.MustCompile(`unexpected end of JSON input`), "the JSON ends in the middle"},
}

// once removes a repetition before a colon: "profile a.yaml: a.yaml: …".
func once(text string) string {
	parts := strings.Split(text, ": ")
	out := parts[:1]
	for _, p := range parts[1:] {
		last := out[len(out)-1]
		if p != "" && p != parts[len(parts)-1] && (last == p || strings.HasSuffix(last, " "+p)) {
			continue
		}
		out = append(out, p)
	}
	return strings.Join(out, ": ")
}
