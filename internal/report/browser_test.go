package report

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/tsenart/vegeta/v12/lib/plot"
)

// browser starts a headless Chromium, or skips.
func browser(t *testing.T) context.Context {
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); cancel() })
	return ctx
}

func assets(t *testing.T) Assets {
	read := func(name string) []byte {
		f, err := plot.Assets.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return Assets{Script: read("uPlot.min.js"), Style: read("uPlot.min.css")}
}

// command makes an action of a protocol command whose answer is empty.
func command[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// ask evaluates a script in the page.
func ask[T any](ctx context.Context, t *testing.T, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// The page in a real browser: all charts drawn with pixels in them, nothing on
// the console, and no request but the one for the page.
//
// With REPORT_SHOTS=FOLDER it leaves screenshots to look at.
func TestInBrowser(t *testing.T) {
	ctx := browser(t)
	shots := os.Getenv("REPORT_SHOTS")
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(body)
	}))
	defer server.Close()
	var mu sync.Mutex
	var requests, complaints []string
	if err := chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(ev.Request.URL, "data:") {
				requests = append(requests, ev.Request.URL)
			}
		case *cdpruntime.EventConsoleAPICalled:
			complaints = append(complaints, string(ev.Type))
		case *cdpruntime.EventExceptionThrown:
			complaints = append(complaints, ev.ExceptionDetails.Text)
			if e := ev.ExceptionDetails.Exception; e != nil {
				complaints = append(complaints, e.Description)
			}
		case *cdplog.EventEntryAdded: // what the browser says itself: a blocked load, a refused style
			complaints = append(complaints, ev.Entry.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	wantPlots := map[string]string{"run": "3", "advice": "4", "compare": "6"}
	for name, page := range pages() {
		var b bytes.Buffer
		if err := HTML(&b, page, assets(t)); err != nil {
			t.Fatal(err)
		}
		body = b.Bytes()
		for _, look := range []struct {
			name          string
			width, height int64
			scheme, media string
		}{{"light", 1200, 900, "light", "screen"}, {"dark", 1200, 900, "dark", "screen"}, {"phone", 390, 844, "light", "screen"}, {"paper", 760, 1070, "light", "print"}} {
			if shots == "" && name != "advice" && look.name != "light" {
				continue // advice has all the parts of the others
			}
			t.Run(name+" "+look.name, func(t *testing.T) {
				mu.Lock()
				requests, complaints = nil, nil
				mu.Unlock()
				ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
				defer cancel()
				if err := chromedp.Do(ctx,
					command(network.Enable, network.EnableParams{}),
					command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: look.width, Height: look.height, DeviceScaleFactor: 1, Mobile: look.width < 500}),
					command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: look.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}}),
					chromedp.Navigate(server.URL), // until loaded; the page draws while it loads
				); err != nil {
					t.Fatal(err)
				}
				plots := ask[string](ctx, t, `document.documentElement.dataset.drawn ?? "no"`)
				// A canvas is blank where it has few colours.
				blank := ask[int](ctx, t, `[...document.querySelectorAll("canvas")].filter(c => { const d = new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer); return new Set(d).size < 4; }).length`)
				overflow := ask[bool](ctx, t, `document.documentElement.scrollWidth > document.documentElement.clientWidth`)
				if shots != "" {
					shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(shots, name+"-"+look.name+".png"), shot, 0o644); err != nil {
						t.Error(err)
					}
				}
				if plots != wantPlots[name] || blank != 0 {
					t.Errorf("%s charts drawn, %d blank; want %s and none blank", plots, blank, wantPlots[name])
				}
				if overflow {
					t.Errorf("the page is wider than a screen of %d", look.width)
				}
				mu.Lock()
				defer mu.Unlock()
				if len(complaints) > 0 {
					t.Errorf("on the console: %q", complaints)
				}
				if len(requests) != 1 {
					t.Errorf("requests %q, want only the page's own", requests)
				}
			})
		}
	}
}
