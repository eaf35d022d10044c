package loadgen

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hpatune/hpatune/profiles"
)

// ParseURL parses the target URL as people write it: with or without a scheme
// ("127.0.0.1:8000" is http), also grpc:// and grpcs://, and with user:password@, which it
// removes and returns as the Authorization header; nil = none. Its errors show the address
// without possible secrets.
func ParseURL(raw string) (*url.URL, http.Header, error) {
	full := strings.TrimSpace(raw)
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil {
		// url.Error quotes the whole URL, which may contain a password.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		if strings.Contains(full, "@") { // the cause may quote it, too
			err = errors.New("not an address; write special characters of a password as %XX")
		}
		return nil, nil, fmt.Errorf("%s: %w; try http://HOST:PORT", harmless(raw), err)
	}
	switch u.Scheme {
	case "http", "https":
	case "grpc":
		u.Scheme = "http"
	case "grpcs":
		u.Scheme = "https"
	default:
		return nil, nil, fmt.Errorf(
			"%s: scheme %q, should be http, https, grpc or grpcs; try http://HOST:PORT",
			harmless(raw),
			u.Scheme,
		)
	}
	if u.Hostname() == "" {
		return nil, nil, fmt.Errorf("%s: names no host; try http://HOST:PORT", harmless(raw))
	}
	u.Fragment, u.RawFragment = "", ""
	user := u.User
	if u.User = nil; user == nil {
		return u, nil, nil
	}
	password, _ := user.Password()
	basic := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
	return u, http.Header{"Authorization": {"Basic " + basic}}, nil
}

// harmless is a URL for an error text, without user, password and query.
func harmless(raw string) string {
	raw, _, _ = strings.Cut(strings.TrimSpace(raw), "?")
	scheme, rest, ok := strings.Cut(raw, "://")
	if ok {
		scheme += "://"
	} else {
		scheme, rest = "", raw
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:] // a password may hold anything
	if text := scheme + rest; text != "" {
		return text
	}
	return `""`
}

// Endpoint returns the address of every request: where raw (or, if that is "",
// the profile's target.url) and the profile's path point together.
//
// A URL without a path gets the profile's path, else the protocol's own. The
// path of a URL is the whole path, and wins over the profile's, but for
// openai-* and kserve-v2, where it may be a base URL, as clients of these
// protocols have it:
//
//	http://h/v1               → /v1/chat/completions
//	http://h/gateway/v1/      → /gateway/v1/chat/completions
//	http://h/v1/completions   as it is: it ends as the protocol's path does
//	http://h/v1, and the profile's path is /v1/custom  → /v1/custom
func Endpoint(p *profiles.Profile, raw string) (*url.URL, error) {
	proto, err := newProtocol(p, 1)
	if err != nil {
		return nil, err
	}
	u, _, err := target(p, raw, proto)
	return u, err
}

// target is Endpoint, with the header that replaces the URL's user.
func target(p *profiles.Profile, raw string, proto *protocol) (*url.URL, http.Header, error) {
	u, user, err := ParseURL(cmp.Or(raw, p.Target.URL))
	if err != nil {
		return nil, nil, fmt.Errorf("target URL %w", err)
	}
	want, err := url.Parse(cmp.Or(p.Target.Path, proto.path))
	if err != nil {
		return nil, nil, fmt.Errorf("target path %q: %w", p.Target.Path, err)
	}
	base := strings.TrimRight(u.Path, "/")
	path := want.Path
	switch {
	case base == "", base == want.Path, strings.HasPrefix(want.Path, base+"/"):
		if want.RawQuery != "" {
			u.RawQuery = want.RawQuery
		}
	case proto.events == openaiStream && !strings.HasSuffix(base, "/completions"):
		path = base + strings.TrimPrefix(proto.path, "/v1")
	case proto.base != "" && !strings.HasSuffix(base, "/infer"):
		path = strings.TrimSuffix(base, proto.base) + proto.path
	default:
		return u, user, nil // the URL's own path
	}
	u.Path, u.RawPath = path, ""
	if path == want.Path {
		u.RawPath = want.RawPath
	}
	return u, user, nil
}
