package browser_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/pool"
)

// closedRow returns an expression for the texts of a row of the closed sessions.
func closedRow(i int) string {
	return fmt.Sprintf(`[...$$("#closed-rows tr")[%d].cells].map((c) => c.textContent)`, i)
}

func TestClosedSessions_AreListedTheNewestFirst(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, false)
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(`!$("#none-closed").hidden && $("#closed-scroll").hidden`)
	require.NoError(t, c.Connect(2))
	p.until(counter("Open sessions") + ` === 2`)
	address := c.Conns()[0].LocalAddr().String()
	c.Disconnect(1)
	p.until(`$$("#closed-rows tr").length === 1 && $("#none-closed").hidden`)
	row := js[[]string](p, closedRow(0))
	require.Equal(t, []string{"1", address, "EOF"}, row[:3])
	require.Regexp(t, `^\d+ s ago$`, row[3])
	require.Equal(t, "–", row[4])
	p.until(`parseInt($("#closed-rows tr").cells[3].textContent) >= 5`) // counted on by the page

	s.Server.SetIdleTimeout(10 * time.Millisecond)
	p.until(`$$("#closed-rows tr").length === 2`)
	row = js[[]string](p, closedRow(0))
	require.Equal(t, []string{"2", "Timeout"}, []string{row[0], row[2]})
	require.Regexp(t, `^\d+(\.\d+)? (µs|ms|s)$`, row[4])
	require.Equal(t, "1", js[[]string](p, closedRow(1))[0])
	p.until(`$("#closed-aside").textContent === "2 sessions"`)
}

func TestClosedSessions_ShowHostileTextAsText(t *testing.T) {
	t.Parallel()
	const hostile = `"'><script>document.title='hacked'</script><img src=x onerror=alert(1)>`
	sessions, err := pool.New(pool.Config[string, fakeConn]{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sessions.Shutdown(context.Background())) })
	for range 65 {
		s, err := sessions.Register(hostile, "")
		require.NoError(t, err)
		s.Close(pool.Reason(hostile))
	}
	d, err := browser.ServePage(dashboard.Config{Source: dashboard.Pool(sessions, nil, nil)}, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#closed-rows tr").length === 64 && $("#closed-aside").textContent === "the last 64 of 65"`)
	row := js[[]string](p, closedRow(0))
	require.Equal(t, []string{hostile, "", hostile[:59] + "…"}, row[:3])
	require.Zero(t, js[int](p, `$$("#closed script, #closed img").length`))
	require.Equal(t, "sessionwheel", js[string](p, `document.title`))
}

// The page asks twice when a session has closed. It asks again for as long as that fails.
func TestClosedSessions_SayWhenTheyAreNotUpToDate(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, false)
	p := open(t, browser.Desktop, s.Page.URL)
	p.run(chromedp.Evaluate(`window.refused = 0; window.fetched = window.fetch; window.fetch = async (path, ...rest) =>
		path === "api/closed" ? (window.refused++, new Response('{"error":"too busy"}', { status: 503 })) : window.fetched(path, ...rest)`, nil))
	require.NoError(t, c.Connect(1))
	c.Disconnect(1)
	p.until(says("closed-trouble", "not up to date: too busy") + ` && window.refused > 2`)
	p.run(chromedp.Evaluate(`window.fetch = window.fetched`, nil))
	p.until(`$("#closed-trouble").hidden && $$("#closed-rows tr").length === 1`)
}
