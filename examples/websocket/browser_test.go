package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// browser starts a Chromium with a new profile.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		require.Empty(t, os.Getenv("CI"), "no chromium in PATH")
		fmt.Fprintln(os.Stderr, "\n*** THE TEST OF THE PAGE WAS LEFT OUT: there is no chromium in PATH ***")
		t.Skip("no chromium in PATH")
	}
	profile, err := os.MkdirTemp("", "websocket-chromium")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(profile)) })
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(profile),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-device-scale-factor", "1"),
		chromedp.WSURLReadTimeout(patience),
	)
	t.Cleanup(stop)
	ctx, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() { require.NoError(t, chromedp.Cancel(ctx)) }) // waits until the process has ended
	require.NoError(t, chromedp.Run(ctx))
	return ctx
}

// tab is a tab of a browser with the chat's page.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // guarded by mu; errors and warnings in the console
}

func open(t *testing.T, browser context.Context, addr string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser)
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	p := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		stop()
	})
	chromedp.ListenTarget(ctx, func(ev any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			p.complaints = append(p.complaints, fmt.Sprint(ev.Type))
		case *runtime.EventExceptionThrown:
			p.complaints = append(p.complaints, ev.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			p.complaints = append(p.complaints, ev.Entry.Text)
		}
	})
	// Without this, keys reach only the tab that has the focus.
	p.run(emulation.SetFocusEmulationEnabled(true), chromedp.Navigate("http://"+addr+"/"))
	return p
}

func (p *tab) run(actions ...chromedp.Action) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Run(p.ctx, actions...))
}

// press types keys into the element that has the focus.
func (p *tab) press(keys string) { p.t.Helper(); p.run(chromedp.KeyEvent(keys)) }

// text returns the text of an element.
func (p *tab) text(id string) (text string) {
	p.t.Helper()
	p.run(chromedp.Evaluate(fmt.Sprintf("document.getElementById(%q).innerText", id), &text))
	return text
}

// shows waits until an element has the given text.
func (p *tab) shows(id, text string) {
	p.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(p.text(id), text); time.Sleep(20 * time.Millisecond) {
		require.True(p.t, time.Now().Before(end), "%s shows %q and not %q", id, p.text(id), text)
	}
}

// fill types a name into the form, again if a key arrived before the field had the
// focus.
func (p *tab) fill(name string) {
	p.t.Helper()
	var typed string
	for end := time.Now().Add(patience); typed != name; {
		require.True(p.t, time.Now().Before(end), "the form holds %q and not %q", typed, name)
		p.run(chromedp.Evaluate(`document.querySelector("#login [name=name]").select()`, nil))
		p.press(name)
		p.run(chromedp.Value("#login [name=name]", &typed, chromedp.ByQuery))
	}
}

// login joins under a name with the keyboard only.
func (p *tab) login(name string) *tab {
	p.t.Helper()
	p.fill(name)
	p.press(kb.Enter)
	p.shows("status", "You are "+name+" in lobby.")
	return p
}

// quiet fails the test if the console has errors or warnings.
func (p *tab) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(p.t, p.complaints)
}

func TestPage(t *testing.T) {
	t.Parallel()
	b := browser(t)
	t.Run("two tabs chat, by keyboard alone, and what they say is text", func(t *testing.T) {
		t.Parallel()
		s := serve(t, time.Minute)
		ann, bob := open(t, b, s.addr).login("ann"), open(t, b, s.addr).login("bob")
		ann.shows("log", "bob joined · 2 here")
		const markup = `<img src=x onerror="document.title='owned'"> & <b>bold</b>`
		ann.press(markup + kb.Enter)
		bob.shows("log", "ann"+markup)
		bob.press("hello, ann" + kb.Enter)
		ann.shows("log", "bobhello, ann")
		var images int
		var title string
		bob.run(chromedp.Evaluate(`document.querySelectorAll("#log img, #log li b ~ b").length`, &images), chromedp.Title(&title))
		require.Zero(t, images)
		require.Equal(t, "Chat", title)
		bob.press(kb.Tab + kb.Tab + kb.Enter) // Send, Leave
		bob.shows("status", "Left: you left the room.")
		ann.shows("log", "bob left (Left) · 1 here")
		bob.press(kb.Enter) // Join has the focus
		bob.shows("status", "You are bob in lobby.")
		ann.quiet()
		bob.quiet()
	})
	t.Run("a name that is not allowed does not leave the form", func(t *testing.T) {
		t.Parallel()
		s := serve(t, time.Minute)
		p := open(t, b, s.addr)
		p.fill("a b")
		p.press(kb.Enter)
		var valid bool
		p.run(chromedp.Evaluate(`document.getElementById("login").checkValidity()`, &valid))
		require.False(t, valid)
		require.Empty(t, p.text("status"))
		p.login("ann")
		p.quiet()
	})
	t.Run("a second login replaces the first, which does not come back", func(t *testing.T) {
		t.Parallel()
		s := serve(t, time.Minute, func(c *chat) { c.LingerTimeout = patience })
		first, second := open(t, b, s.addr).login("ann"), open(t, b, s.addr).login("ann")
		first.shows("status", "Replaced: you joined from elsewhere.")
		now := s.named(t, "ann")
		require.Never(t, func() bool { return s.named(t, "ann") != now }, 2*time.Second, 100*time.Millisecond)
		second.press("still here" + kb.Enter)
		second.shows("log", "annstill here")
		require.NotContains(t, first.text("log"), "still here")
		first.quiet()
		second.quiet()
	})
	t.Run("a connection that breaks comes back", func(t *testing.T) {
		t.Parallel()
		s := serve(t, time.Minute)
		p := open(t, b, s.addr).login("ann")
		old := s.named(t, "ann")
		require.True(t, old.Close(tcp.ReasonSlow)) // without a close frame
		require.Eventually(t, func() bool {
			now, ok := s.Bound("ann")
			return ok && now != old
		}, patience, 10*time.Millisecond)
		p.shows("status", "You are ann in lobby.")
	})
	t.Run("a timeout is shown", func(t *testing.T) {
		t.Parallel()
		s := serve(t, 10*time.Second, func(c *chat) { c.LingerTimeout = patience })
		line := oneWay(t, s.addr)
		p := open(t, b, line.addr).login("ann")
		ann := s.named(t, "ann")
		require.Never(t, func() bool { return ann.Reason() != "" }, 12*time.Second, 100*time.Millisecond)
		line.cut.Store(true)
		p.shows("status", "Timeout: the server got no sign of life from here.")
		p.quiet()
	})
	t.Run("a shutdown is shown", func(t *testing.T) {
		t.Parallel()
		s := serve(t, time.Minute, func(c *chat) { c.LingerTimeout = patience })
		ann, bob := open(t, b, s.addr).login("ann"), open(t, b, s.addr).login("bob")
		require.NoError(t, s.stop())
		ann.shows("status", "Shutdown: the server is going away.")
		bob.shows("status", "Shutdown: the server is going away.")
		ann.quiet()
		bob.quiet()
	})
	t.Run("it fits a narrow screen, and can be read on a light and a dark one", func(t *testing.T) {
		t.Parallel()
		s := serve(t, time.Minute)
		p := open(t, b, s.addr)
		p.run(chromedp.EmulateViewport(280, 500))
		p.fits()
		p.login("ann")
		p.press(strings.Repeat("w", 300) + kb.Enter)
		p.shows("log", strings.Repeat("w", 300))
		p.fits()
		var grounds []string
		for _, scheme := range []string{"light", "dark"} {
			p.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
			var ground string
			var contrasts []float64
			p.run(chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, &ground), chromedp.Evaluate(contrastsJS, &contrasts))
			require.Len(t, contrasts, 5)
			for i, c := range contrasts {
				require.Greater(t, c, 4.5, "%s: text %d", scheme, i)
			}
			grounds = append(grounds, ground)
			keepPicture(t, p, scheme)
		}
		require.NotEqual(t, grounds[0], grounds[1])
		p.quiet()
	})
}

// contrastsJS computes the contrast of five texts with their backgrounds, as WCAG 2
// defines it.
const contrastsJS = `["#status", "#log li.note", "#log li:not(.note)", "#say button", "#leave"].map((what) => {
	const light = (color) => {
		const [r, g, b] = color.match(/\d+/g).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const element = document.querySelector(what);
	let behind = element;
	while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
	const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)];
	return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
})`

// fits fails the test if something is wider than the screen, or a field or button is
// outside of it.
func (p *tab) fits() {
	p.t.Helper()
	var wide, off int
	p.run(
		chromedp.Evaluate(`document.documentElement.scrollWidth - window.innerWidth`, &wide),
		chromedp.Evaluate(`[...document.querySelectorAll("input, button")].filter((e) => e.offsetParent).filter((e) => {
			const r = e.getBoundingClientRect();
			return r.left < 0 || r.right > window.innerWidth || r.top < 0 || r.bottom > window.innerHeight;
		}).length`, &off),
	)
	require.LessOrEqual(p.t, wide, 0)
	require.Zero(p.t, off)
}

// keepPicture writes a picture of the page to the directory WEBSOCKET_PICTURES, if it
// is set.
func keepPicture(t *testing.T, p *tab, name string) {
	t.Helper()
	dir := os.Getenv("WEBSOCKET_PICTURES")
	if dir == "" {
		return
	}
	var png []byte
	p.run(chromedp.CaptureScreenshot(&png))
	require.NoError(t, os.WriteFile(dir+"/"+name+".png", png, 0o600))
}

// line is a proxy to the server that stops forwarding when it is cut. A browser answers
// pings whatever the page does, so a test cannot stop that in any other way.
type line struct {
	addr string
	cut  atomic.Bool
}

func oneWay(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &line{addr: l.Addr().String()}
	var conns sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	conns.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { p.carry(ctx, from, to) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		stop()
		conns.Wait()
	})
	return p
}

// carry forwards data until either connection or ctx ends.
func (p *line) carry(ctx context.Context, from net.Conn, addr string) {
	defer from.Close()
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { from.Close(); to.Close() })()
	var forth sync.WaitGroup
	forth.Go(func() {
		defer to.Close()
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if !p.cut.Load() {
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
		}
	})
	_, _ = io.Copy(from, to)
	from.Close()
	forth.Wait()
}
