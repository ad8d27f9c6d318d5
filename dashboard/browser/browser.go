// Package browser drives the page of package dashboard in a real browser: for its
// tests, and for its pictures in the project's README, which cmd/pictures makes.
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

// ErrNone says that there is no browser on this machine.
var ErrNone = errors.New("browser: there is no chromium in PATH: install it, as with apt-get install chromium")

// startTimeout is how long a browser may take to start on a busy machine.
const startTimeout = 2 * time.Minute

// Browser is a Chromium process with a profile of its own, without a window.
type Browser struct {
	ctx     context.Context
	free    context.CancelFunc
	profile string
}

// Start starts a browser, which Close ends. The error is ErrNone if none is
// installed.
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
		chromedp.WSURLReadTimeout(startTimeout),
	)
	ctx, _ := chromedp.NewContext(allocator)
	b := &Browser{ctx, free, profile}
	if err := chromedp.Run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("browser: %s does not start: %w", path, err), b.Close())
	}
	return b, nil
}

func find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
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

// Look is how a tab is looked at.
type Look struct {
	Width, Height int64 // in CSS pixels
	Scale         float64
	Dark          bool
	Still         bool // the user prefers reduced motion
}

// Desktop is what most people have.
var Desktop = Look{Width: 1280, Height: 900, Scale: 1}

// Tab is a tab of a browser.
type Tab struct {
	ctx   context.Context
	close context.CancelFunc

	mu sync.Mutex
	// Guarded by mu.
	complaints []string
	cut        bool
}

// Open opens a tab. It is closed by Close, and at the latest after limit.
func (b *Browser) Open(look Look, limit time.Duration) (*Tab, error) {
	ctx, stop := chromedp.NewContext(b.ctx)
	ctx, cancel := context.WithTimeout(ctx, limit)
	t := &Tab{ctx: ctx, close: func() { cancel(); stop() }}
	chromedp.ListenTarget(ctx, t.hear)
	if err := t.Look(look); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close closes the tab.
func (t *Tab) Close() { t.close() }

// Run does what chromedp does in this tab.
func (t *Tab) Run(actions ...chromedp.Action) error { return chromedp.Run(t.ctx, actions...) }

// Look changes how the tab is looked at. Keys reach it as if it had the focus.
func (t *Tab) Look(l Look) error {
	scheme, motion := "light", "no-preference"
	if l.Dark {
		scheme = "dark"
	}
	if l.Still {
		motion = "reduce"
	}
	return t.Run(
		emulation.SetFocusEmulationEnabled(true),
		emulation.SetDeviceMetricsOverride(l.Width, l.Height, l.Scale, l.Width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: motion},
		}),
	)
}

// hear collects what the console says, violations of the Content-Security-Policy
// included.
func (t *Tab) hear(ev any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		t.complaints = append(t.complaints, fmt.Sprintf("console.%s", ev.Type))
	case *runtime.EventExceptionThrown:
		t.complaints = append(t.complaints, ev.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		if t.cut && ev.Entry.Source == log.SourceNetwork { // the browser itself says that nobody answered
			return
		}
		t.complaints = append(t.complaints, fmt.Sprintf("%s: %s (%s)", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL))
	case *network.EventLoadingFailed:
		if ev.BlockedReason != "" {
			t.complaints = append(t.complaints, "blocked: "+ev.BlockedReason.String())
		}
	}
}

// ExpectCut says that the connection will be lost: the browser's own complaints of
// that are left out from now on.
func (t *Tab) ExpectCut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = true
}

// Complaints is what the console has said so far.
func (t *Tab) Complaints() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.complaints)
}
