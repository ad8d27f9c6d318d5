package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	status := m.Run()
	if b, err := theBrowser(); err == nil {
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

// theBrowser is one for all tests, each of which has a tab of its own.
var theBrowser = sync.OnceValues(browser.Start)

// page is a tab that shows a page.
type page struct {
	*browser.Tab
	t *testing.T
}

// open opens a page. The test fails if the console has anything to say.
func open(t *testing.T, look browser.Look, url string) page {
	t.Helper()
	b, err := theBrowser()
	if errors.Is(err, browser.ErrNone) && os.Getenv("CI") == "" {
		fmt.Fprintf(os.Stderr, "\n*** %s WAS LEFT OUT: %v ***\n", t.Name(), err)
		t.Skip(err)
	}
	require.NoError(t, err)
	tab, err := b.Open(look, 3*patience)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, tab.Complaints(), "the browser's console")
		tab.Close()
	})
	p := page{tab, t}
	p.run(chromedp.Navigate(url))
	p.until(`document.getElementById("state").dataset.state === "live"`)
	return p
}

func (p page) run(actions ...chromedp.Action) {
	p.t.Helper()
	require.NoError(p.t, p.Run(actions...))
}

// js evaluates an expression, with $ and $$ for querySelector and All.
func js[T any](p page, expression string) (v T) {
	p.t.Helper()
	var text string
	p.run(chromedp.Evaluate(`JSON.stringify((($, $$) => (`+expression+`))((s) => document.querySelector(s), (s) => [...document.querySelectorAll(s)])) ?? "null"`, &text))
	require.NoError(p.t, json.Unmarshal([]byte(text), &v), "%s is %s", expression, text)
	return v
}

// until waits for a condition.
func (p page) until(condition string) {
	p.t.Helper()
	for end := time.Now().Add(patience); !js[bool](p, condition); time.Sleep(50 * time.Millisecond) {
		require.True(p.t, time.Now().Before(end), "it is never true that %s\n%s", condition, js[string](p, `document.body.innerText`))
	}
}

// counter is an expression for the figure of a counter, as a number.
func counter(name string) string {
	return fmt.Sprintf(`Number([...document.querySelectorAll(".counter")].find((c) => c.querySelector(".name").textContent === %q).querySelector("b").textContent.replaceAll(",", ""))`, name)
}

// scene is a server with its page, and clients.
func scene(t *testing.T, idle time.Duration, closable bool) (*browser.Scene, *browser.Clients) {
	t.Helper()
	s, err := browser.NewScene("test server", idle, closable)
	require.NoError(t, err)
	c := browser.NewClients(s.Addr)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, s.Close())
	})
	return s, c
}

// crowd lets clients come and go until the test ends.
func crowd(t *testing.T, c *browser.Clients, n int, pace time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c.Crowd(ctx, n, pace)
}

// gone waits until the server has closed a connection.
func gone(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	var late net.Error
	require.False(t, errors.As(err, &late) && late.Timeout(), "the connection is open")
}

// rowOf is an expression for the row of a session.
func rowOf(id string) string {
	return fmt.Sprintf(`$$("#rows tr").find((r) => r.cells[0].textContent === %q)`, strings.TrimSpace(id))
}
