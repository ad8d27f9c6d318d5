package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	jsruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

// timeout is how long a test waits for something that must happen.
const timeout = 2 * time.Minute

func TestMain(m *testing.M) {
	// The tests spend half of their time waiting. With more tabs at the same time, each is slower,
	// and what a page does four times a second is more work in all.
	parallel := max(5, runtime.GOMAXPROCS(0))
	if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if b, err := sharedBrowser(); err == nil {
		if err := b.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// sharedBrowser starts the browser that all tests share. Each opens its own tabs.
var sharedBrowser = sync.OnceValues(browser.Start)

// requireBrowser returns the shared browser. Without one installed, it skips the test,
// or fails it if CI is set.
func requireBrowser(t *testing.T) *browser.Browser {
	t.Helper()
	b, err := sharedBrowser()
	if errors.Is(err, browser.ErrNone) && os.Getenv("CI") == "" {
		fmt.Fprintf(os.Stderr, "\n*** %s WAS LEFT OUT: %v ***\n", t.Name(), err)
		t.Skip(err)
	}
	require.NoError(t, err)
	return b
}

// page is a tab with a page.
type page struct {
	*browser.Tab
	t *testing.T
}

// open opens a page in a new tab, for a user who prefers reduced motion: an animation takes
// much of the processors' time, which the other tests need. The test fails if its console has
// any message.
func open(t *testing.T, screen browser.Screen, url string) page {
	t.Helper()
	screen.ReducedMotion = true
	return openMoving(t, screen, url)
}

// openMoving is open for a user who prefers what the screen says.
func openMoving(t *testing.T, screen browser.Screen, url string) page {
	t.Helper()
	tab, err := requireBrowser(t).Open(screen, 3*timeout)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, tab.Console(), "the browser's console")
		tab.Close()
	})
	p := page{tab, t}
	p.visit(url)
	p.until(`document.getElementById("state").dataset.state === "live"`)
	return p
}

// visit opens a page in this tab. The browser does not report each change of the page's
// elements, which would take most of the tests' processor time, so the actions of chromedp
// that take a selector cannot be used.
func (p page) visit(url string) {
	p.t.Helper()
	p.run(css.Disable(), dom.Disable(), chromedp.Navigate(url))
}

// focus gives an element the focus, and presses keys.
func (p page) focus(selector string, keys ...string) {
	p.t.Helper()
	p.run(chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q).focus()", selector), nil))
	for _, k := range keys {
		p.run(chromedp.KeyEvent(k))
	}
}

// mouse clicks the middle of an element with the mouse.
func (p page) mouse(selector string) {
	p.t.Helper()
	at := js[[2]float64](p, fmt.Sprintf(`((e) => {
		e.scrollIntoViewIfNeeded();
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})($(%q))`, selector))
	p.run(chromedp.MouseClickXY(at[0], at[1]))
}

// click clicks an element without the mouse, which might miss one that moves.
func (p page) click(selector string) {
	p.t.Helper()
	p.run(chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q).click()", selector), nil))
}

func (p page) run(actions ...chromedp.Action) {
	p.t.Helper()
	require.NoError(p.t, p.Run(actions...))
}

// js evaluates an expression, in which $ is querySelector and $$ querySelectorAll.
func js[T any](p page, expression string) (v T) {
	p.t.Helper()
	var text string
	p.run(chromedp.Evaluate(`JSON.stringify((($, $$) => (`+expression+`))((s) => document.querySelector(s), (s) => [...document.querySelectorAll(s)])) ?? "null"`, &text))
	require.NoError(p.t, json.Unmarshal([]byte(text), &v), "%s is %s", expression, text)
	return v
}

// until waits until an expression is true.
func (p page) until(condition string) {
	p.t.Helper()
	var met bool
	p.run(chromedp.Evaluate(fmt.Sprintf(`new Promise((resolve, reject) => {
		const $ = (s) => document.querySelector(s), $$ = (s) => [...document.querySelectorAll(s)];
		const end = performance.now() + %d;
		const look = () => {
			try {
				const met = (%s) === true;
				if (met || performance.now() > end) resolve(met);
				else setTimeout(look, 50);
			} catch (e) {
				reject(e);
			}
		};
		look();
	})`, timeout.Milliseconds(), condition), &met, awaitPromise))
	if !met {
		require.FailNow(p.t, "timeout", "%s\n%s", condition, js[string](p, `document.body.innerText`))
	}
}

// awaitPromise makes an evaluation wait for the promise that it results in.
func awaitPromise(e *jsruntime.EvaluateParams) *jsruntime.EvaluateParams {
	return e.WithAwaitPromise(true)
}

// counter returns an expression for the value of a counter.
func counter(name string) string {
	return fmt.Sprintf(`Number([...document.querySelectorAll(".counter")].find((c) => c.querySelector(".name").textContent === %q).querySelector("b").textContent.replaceAll(",", ""))`, name)
}

// echoServer starts a server with its page, and clients without a connection.
func echoServer(t *testing.T, idle time.Duration, closable bool) (*browser.EchoServer, *browser.Clients) {
	t.Helper()
	config := dashboard.Config{Title: "test server", Interval: 250 * time.Millisecond}
	if closable {
		config.Authorize = allow
	}
	s, err := browser.StartEchoServer(idle, config)
	require.NoError(t, err)
	c := browser.NewClients(s.Addr)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, s.Close())
	})
	return s, c
}

// allow lets everyone close sessions.
func allow(*http.Request) error { return nil }

// simulate runs clients that come and go until the test ends.
func simulate(t *testing.T, c *browser.Clients, n int, pace time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c.Simulate(ctx, n, pace)
}

// requireClosed waits until the server has closed a connection.
func requireClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(timeout)))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	var netErr net.Error
	require.False(t, errors.As(err, &netErr) && netErr.Timeout(), "the connection is open")
}

// rowOf returns an expression for the row of a session.
func rowOf(id string) string {
	return fmt.Sprintf(`$$("#rows tr").find((r) => r.cells[0].textContent === %q)`, strings.TrimSpace(id))
}
