package browser_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/pool"
)

// idPage returns the page of a pool whose sessions have the given IDs, and addresses
// that count from 0, and the sessions.
func idPage(t *testing.T, ids ...string) (*browser.Page, []*pool.Session[string, fakeConn]) {
	t.Helper()
	p, err := pool.New(pool.Config[string, fakeConn]{IdleTimeout: time.Hour, OnDuplicate: pool.Replace})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	var sessions []*pool.Session[string, fakeConn]
	for i, id := range ids {
		s, err := p.Register(id, fakeConn(fmt.Sprint(i)))
		require.NoError(t, err)
		sessions = append(sessions, s)
	}
	d, err := browser.ServePage(dashboard.Config{
		Source: dashboard.Pool(p, nil, func(c fakeConn) string { return string(c) }), Authorize: allow,
	}, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d, sessions
}

// rowAt returns an expression for the row of the session with an address.
func rowAt(address int) string {
	return fmt.Sprintf(`$$("#rows tr").find((r) => r.cells[1].textContent === "%d")`, address)
}

func TestCloseButton_ClosesItsOwnSessionWhateverTheID(t *testing.T) {
	t.Parallel()
	d, sessions := idPage(t, "", ".", "..", "a/../b", "%2e", "b", " ", "b ")
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#rows tr").length === 8`)
	for i, s := range sessions {
		p.run(chromedp.Evaluate(`(($, $$) => `+rowAt(i)+`.querySelector("button").click())((s) => document.querySelector(s), (s) => [...document.querySelectorAll(s)])`, nil))
		p.until(`$("#closing").open`)
		p.run(chromedp.KeyEvent(kb.Enter))
		p.until(fmt.Sprintf(`!$("#closing").open && $$("#rows tr").length === %d`, len(sessions)-i-1))
		require.NotEmpty(t, s.Reason(), "%q", s.ID())
		for _, other := range sessions[i+1:] {
			require.Empty(t, other.Reason(), "%q was closed in place of %q", other.ID(), s.ID())
		}
	}
}

func TestCloseButton_IsMissingWhereTheIDIsNotExact(t *testing.T) {
	t.Parallel()
	d, _ := idPage(t, "\xff", "\ufffd", "a")
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#rows tr").length === 3`)
	for i, want := range []bool{false, true, true} {
		require.Equal(t, want, js[bool](p, `!`+rowAt(i)+`.querySelector("button").hidden`))
		require.Equal(t, !want, js[bool](p, rowAt(i)+`.cells[0].textContent.endsWith("not exact")`))
	}
}
