package plain

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// closed is an address at which nothing listens.
func closed(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Each error is made as it happens, not written down.
func TestError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	of := func(_ any, err error) error { return err }
	hangUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangUp.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	nobody := closed(t)
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	var v struct{ A int }
	for _, tt := range []struct {
		sentence string
		err      error
		want     string
	}{
		{"no error", nil, ""},
		{"an error of our own stays", errors.New("run a: no pods"), "run a: no pods"},
		{"a file that is not there", of(os.Open(dir + "/nosuch")), dir + "/nosuch: no such file or folder"},
		{"named by who opened it, too: once", fmt.Errorf("profile %s: %w", dir+"/nosuch", of(os.Open(dir+"/nosuch"))),
			"profile " + dir + "/nosuch: no such file or folder"},
		{"a folder for a file", of(os.ReadFile(dir)), dir + ": is a folder, not a file"},
		{"a file for a folder", of(os.ReadFile(file + "/x")), file + "/x: part of this path is a file, not a folder"},
		{"a folder that is there", os.Mkdir(dir, 0o700), dir + ": already exists"},
		{"nothing listens", of(net.Dial("tcp", nobody)), "nothing listens at " + nobody + " (connection refused)"},
		{"nothing listens at a URL", of(http.Get("http://" + nobody + "/x")),
			"http://" + nobody + "/x: nothing listens at " + nobody + " (connection refused)"},
		{"a host without an address", fmt.Errorf("cluster a: %w", &net.OpError{Op: "dial", Net: "tcp",
			Err: &net.DNSError{Err: "no such host", Name: "nosuch.invalid", Server: "10.0.0.1:53", IsNotFound: true}}),
			"cluster a: host nosuch.invalid not found (no such host)"},
		{"a server that hangs up", of(http.Get(hangUp.URL)), hangUp.URL + ": the server closed the connection without an answer"},
		{"a certificate of an unknown authority", of(http.Get(secure.URL)), "authority that is not trusted here"},
		{"a deadline", fmt.Errorf("scrape: %w", late.Err()), "scrape: no answer in time (deadline exceeded)"},
		{"a word for a number", of(strconv.ParseFloat("x", 64)), `"x" is not a number`},
		{"a number that is too large", of(strconv.ParseInt("99999999999999999999", 10, 64)), `"99999999999999999999" is too large`},
		{"the same, as text only", errors.New(of(strconv.Atoi("x")).Error()), `"x" is not a number`},
		{"a word for a duration", of(time.ParseDuration("x")), `"x" is not a duration; write 90s, 5m or 1h30m`},
		{"a duration without a unit", of(time.ParseDuration("5")), `"5" is not a duration; write 90s, 5m or 1h30m`},
		{"YAML that is none", fmt.Errorf("price: %w", yaml.Unmarshal([]byte("a: b: c"), &v)),
			"price: not YAML: mapping values are not allowed in this context"},
		{"a file that is cut off", fmt.Errorf("a.gz: %w", of(gzip.NewReader(strings.NewReader("\x1f\x8b\x08")))), "a.gz: ends in the middle, as if cut off"},
		{"two errors", errors.Join(of(os.Open(dir+"/a")), of(os.Open(dir+"/b"))),
			dir + "/a: no such file or folder\n" + dir + "/b: no such file or folder"},
		{"EOF by itself is left to who wrote it", fmt.Errorf("x: %w", io.EOF), "x: EOF"},
	} {
		got := Error(tt.err)
		if got != tt.want && !(strings.Contains(tt.sentence, "certificate") && strings.HasSuffix(got, tt.want)) {
			t.Errorf("%s: Error(%v) = %q, want %q", tt.sentence, tt.err, got, tt.want)
		}
	}
}
