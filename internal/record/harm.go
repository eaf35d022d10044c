package record

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Do no harm: what is checked and printed before the first request.

// CheckURL rejects a URL that cannot be loaded or that is on the deny list, before a folder
// is made for it. It returns the URL with a scheme and without a user, and the header that
// replaces the user; nil = it had none.
func CheckURL(raw string) (string, http.Header, error) {
	u, user, err := loadgen.ParseURL(raw)
	if err != nil {
		return "", nil, failure.Inputf("--url %w", err)
	}
	return u.String(), user, Denied(u.Hostname(), "host")
}

// CheckURL is CheckURL, and has the plan send the header of the URL's user
// unless it has one of its own.
func (p *Plan) CheckURL(raw string) (string, error) {
	u, user, err := CheckURL(raw)
	if user != nil && p.Secrets.Get("Authorization") == "" {
		p.Secrets = p.Secrets.Clone()
		if p.Secrets == nil {
			p.Secrets = http.Header{}
		}
		maps.Copy(p.Secrets, user)
	}
	return u, err
}

// Denied rejects a host or a kubeconfig context that is on the deny list. The list has
// patterns such as `prod-*`, from HPATUNE_DENY (separated by commas) and from the file
// hpatune/deny in the user's configuration folder (one per line, # comments).
func Denied(name, kind string) error {
	patterns, where, err := denyList()
	if err != nil {
		return err
	}
	for i, p := range patterns {
		ok, err := path.Match(p, name)
		if err != nil {
			return failure.Inputf("deny list %s: pattern %q: %w", where[i], p, err)
		}
		if ok {
			return failure.Inputf("%s %s is on the deny list (%q in %s): no load is sent there", kind, name, p, where[i])
		}
	}
	return nil
}

func denyList() (patterns, where []string, err error) {
	for p := range strings.SplitSeq(os.Getenv("HPATUNE_DENY"), ",") {
		if p = strings.TrimSpace(p); p != "" {
			patterns, where = append(patterns, p), append(where, "HPATUNE_DENY")
		}
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return patterns, where, nil // no home, no file
	}
	name := filepath.Join(dir, "hpatune", "deny")
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return patterns, where, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("deny list: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		p, _, _ := strings.Cut(lines.Text(), "#")
		if p = strings.TrimSpace(p); p != "" {
			patterns, where = append(patterns, p), append(where, name)
		}
	}
	return patterns, where, lines.Err()
}

// Loopback reports whether a URL points to this machine.
func Loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// TooShort reports that a profile cannot show one scale-out and one scale-in under an HPA,
// and the length that it would need: a metrics window and two reconciles to notice the
// rise, a start-up, the scale-down window, and the same time again to notice the fall.
func TooShort(length time.Duration, c hpa.Config, p hpa.Params, startup time.Duration) (string, bool) {
	const window = 15 * time.Second // metrics-server's
	down := p.DownscaleStabilization
	if c.Behavior && c.ScaleDown.WindowSet {
		down = c.ScaleDown.Window
	}
	seen := window + 2*p.SyncPeriod
	up := time.Duration(0)
	if c.Behavior && c.ScaleUp.WindowSet {
		up = c.ScaleUp.Window
	}
	need := seen + up + startup + down + seen
	if length >= need {
		return "", false
	}
	return fmt.Sprintf(
		"the profile lasts %s, too short to show this HPA scale out and in once: %s to notice the rise, %s scale-up "+
			"window, %s start-up, %s scale-down window and %s to notice the fall add up to %s",
		figure.Duration(length.Round(time.Second)),
		figure.Duration(seen),
		figure.Duration(up),
		figure.Duration(startup.Round(time.Second)),
		figure.Duration(down),
		figure.Duration(seen),
		figure.Duration(need.Round(time.Second)),
	), true
}

// forwarded finds the kubectl port-forward behind a URL of this machine among the running
// processes. It does not find other forwarders; the traffic share of new replicas reveals
// those afterwards.
func forwarded(ctx context.Context, raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	list, err := exec.CommandContext(ctx, "ps", "-axww", "-o", "args=").Output()
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(list)) {
		words := strings.Fields(line)
		i := slices.Index(words, "port-forward")
		to := func(w string) bool { return w == port || strings.HasPrefix(w, port+":") }
		if i > 0 && slices.ContainsFunc(words[i:], to) {
			return true
		}
	}
	return false
}

// RedactURL keeps the parts that say where the load went, and removes those that grant
// access.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
