// Package browser drives the page of package dashboard in a real browser. The
// page's tests use it, and cmd/pictures, which makes the pictures of the README.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// ErrNone is the error of Start when no browser is installed.
var ErrNone = errors.New("browser: there is no chromium in PATH: install it, as with apt-get install chromium-headless-shell")

// startTimeout limits how long a browser may take to start, on a busy machine too.
const startTimeout = 2 * time.Minute

// Browser is a headless Chromium process with its own profile.
type Browser struct {
	ctx     context.Context
	free    context.CancelFunc
	profile string
}

// Start starts a browser. Close ends it.
func Start() (*Browser, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "sessionwheel-browser")
	if err != nil {
		return nil, err
	}
	allocator, free := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(profile),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("force-device-scale-factor", "1"),
		// Names beneath .test are this machine, over plain HTTP that no browser trusts.
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"),
		// Several tabs are in use at once, and each is to run as if it were in front.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.WSURLReadTimeout(startTimeout),
	)
	ctx, _ := chromedp.NewContext(allocator)
	b := &Browser{ctx, free, profile}
	if err := chromedp.Run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("browser: starting %s: %w", path, err), b.Close())
	}
	return b, nil
}

// find prefers the Chromium without windows, whose tabs take two thirds of the processor time.
func find() (string, error) {
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNone
}

// Close ends the browser and waits for its process.
func (b *Browser) Close() error {
	err := chromedp.Cancel(b.ctx)
	b.free()
	return errors.Join(err, os.RemoveAll(b.profile))
}

// Screen is the screen of a tab, and its user's preferences.
type Screen struct {
	Width, Height int64 // in CSS pixels
	Scale         float64
	Dark          bool
	ReducedMotion bool
}

// Desktop is a common screen.
var Desktop = Screen{Width: 1280, Height: 900, Scale: 1}

// Tab is a tab of a browser.
type Tab struct {
	ctx   context.Context
	close context.CancelFunc

	mu sync.Mutex
	// Guarded by mu.
	console            []string
	ignoreNetworkError bool
}

// Open opens a tab. It ends with Close, and after limit at the latest.
func (b *Browser) Open(screen Screen, limit time.Duration) (*Tab, error) {
	ctx, stop := chromedp.NewContext(b.ctx)
	ctx, cancel := context.WithTimeout(ctx, limit)
	t := &Tab{ctx: ctx, close: func() { cancel(); stop() }}
	chromedp.ListenTarget(ctx, t.handleEvent)
	if err := t.SetScreen(screen); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close closes the tab.
func (t *Tab) Close() { t.close() }

// Run runs actions of chromedp in this tab.
func (t *Tab) Run(actions ...chromedp.Action) error { return chromedp.Run(t.ctx, actions...) }

// SetScreen changes the tab's screen. The tab receives keys as if it had the focus.
func (t *Tab) SetScreen(s Screen) error {
	scheme, motion := "light", "no-preference"
	if s.Dark {
		scheme = "dark"
	}
	if s.ReducedMotion {
		motion = "reduce"
	}
	return t.Run(
		emulation.SetFocusEmulationEnabled(true),
		emulation.SetDeviceMetricsOverride(s.Width, s.Height, s.Scale, s.Width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: motion},
		}),
	)
}

// handleEvent collects the messages of the console. Violations of the
// Content-Security-Policy are among them.
func (t *Tab) handleEvent(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch event := event.(type) {
	case *runtime.EventConsoleAPICalled:
		t.console = append(t.console, fmt.Sprintf("console.%s", event.Type))
	case *runtime.EventExceptionThrown:
		t.console = append(t.console, event.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		if t.ignoreNetworkError && event.Entry.Source == log.SourceNetwork {
			return
		}
		t.console = append(t.console, fmt.Sprintf("%s: %s (%s)", event.Entry.Source, event.Entry.Text, event.Entry.URL))
	case *network.EventLoadingFailed:
		if event.BlockedReason != "" {
			t.console = append(t.console, "blocked: "+event.BlockedReason.String())
		}
	}
}

// ExpectNetworkErrors leaves out the browser's own messages of failed requests from
// now on.
func (t *Tab) ExpectNetworkErrors() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ignoreNetworkError = true
}

// Console returns the messages of the console so far.
func (t *Tab) Console() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.console)
}
