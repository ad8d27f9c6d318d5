package browser_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestCloseButton_ClosesASessionWithAReason(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, true)
	require.NoError(t, c.Connect(3))
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(`$$("#rows tr").length === 3`)
	second, ok := s.Server.Session(2)
	require.True(t, ok)
	address := second.RemoteAddr().String()

	p.run(chromedp.Evaluate(`[...document.querySelectorAll("#rows tr")].find((r) => r.cells[0].textContent === "2").querySelector("button").click()`, nil))
	p.until(`$("#closing").open && $("#closing-whom").textContent.includes("` + address + `")`)
	p.mouse("#cancel")
	p.until(`!$("#closing").open`)
	require.Equal(t, 3, s.Server.Stats().Sessions, "nothing happens without the confirmation")

	p.run(chromedp.Evaluate(`[...document.querySelectorAll("#rows tr")].find((r) => r.cells[0].textContent === "2").querySelector("button").click()`, nil))
	p.until(`$("#closing").open`)
	p.focus(`#closing [name="reason"]`, "seen enough")
	p.mouse("#confirm")
	p.until(`!$("#closing").open && ` + says("outcome", "Session 2 was closed: seen enough"))
	p.until(`$$("#rows tr").length === 2`)
	for _, conn := range c.Conns() {
		if conn.LocalAddr().String() == address {
			requireClosed(t, conn)
		}
	}
	require.EqualValues(t, 1, s.Server.Stats().ByReason["seen enough"])
	require.Equal(t, 2, s.Server.Stats().Sessions)
}

func TestKeyboard_ClosesASession(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, true)
	require.NoError(t, c.Connect(1))
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(`$$("#rows button").length === 1`)
	for i := 0; !js[bool](p, `document.activeElement?.matches("#rows button") ?? false`); i++ {
		require.Less(t, i, 60, "Tab never comes to the button")
		p.run(chromedp.KeyEvent(kb.Tab))
	}
	require.NotEqual(t, "none", js[string](p, `getComputedStyle(document.activeElement).outlineStyle`), "the focus is seen")
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until(`$("#closing").open && document.activeElement.name === "reason"`)
	p.run(chromedp.KeyEvent("by keyboard"), chromedp.KeyEvent(kb.Enter))
	p.until(says("outcome", "Session 1 was closed: by keyboard"))
	requireClosed(t, c.Conns()[0])
	require.EqualValues(t, 1, s.Server.Stats().ByReason["by keyboard"])

	// Escape changes nothing.
	require.NoError(t, c.Connect(1))
	p.until(`$$("#rows button").length === 1 && ` + rowOf("2") + ` !== undefined`)
	p.focus("#rows button", kb.Enter)
	p.until(`$("#closing").open`)
	p.run(chromedp.KeyEvent(kb.Escape))
	p.until(`!$("#closing").open`)
	require.Equal(t, 1, s.Server.Stats().Sessions)
}

func TestReadOnlyPage_HasNoCloseButtons(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, false)
	require.NoError(t, c.Connect(2))
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(`$$("#rows tr").length === 2`)
	require.True(t, js[bool](p, `$$("#rows .action").every((c) => c.hidden) && $("#table thead .action").hidden`))
}

// poolPage returns the page of a pool of n sessions without sockets.
func poolPage(t *testing.T, n int, address func(i int) string) *browser.Page {
	t.Helper()
	w, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	p, err := pool.New(pool.Config[string, fakeConn]{Wheel: w, IdleTimeout: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	for i := range n {
		_, err := p.Register(strconv.Itoa(i), fakeConn(address(i)))
		require.NoError(t, err)
	}
	d, err := browser.ServePage(dashboard.Config{
		Source: dashboard.Pool(p, nil, func(c fakeConn) string { return string(c) }), Wheel: w,
	}, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// fakeConn is a connection that is only an address.
type fakeConn string

func (fakeConn) Close() error { return nil }

func TestSessions_AreSearchedSortedAndPagedByTheServer(t *testing.T) {
	t.Parallel()
	address := func(i int) string { return net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)).String() + ":4000" }
	d := poolPage(t, manySessions, address)
	all := fmt.Sprintf("%d,000", manySessions/1000)
	last := strconv.Itoa(manySessions - 1)
	p := open(t, browser.Desktop, d.URL)
	p.until(`$("#matching").textContent === "` + all + ` open" && $$("#rows tr").length === 25`)
	require.Less(t, js[int](p, `$$("*").length`), 3000, "what the page holds does not grow with the sessions")
	ids := `$$("#rows tr").map((r) => r.cells[0].textContent).join()`
	p.until(`$("#range").textContent === "1–25 of ` + all + `"`)
	first := js[string](p, ids)
	p.click("#pause") // so that the page makes no other requests, which take long with this many sessions

	p.click("#next")
	p.until(`$("#range").textContent === "26–50 of ` + all + `" && ` + ids + ` !== "` + first + `"`)
	p.click("#previous")
	p.until(`$("#range").textContent === "1–25 of ` + all + `" && ` + ids + ` === "` + first + `"`)

	p.click(`[data-sort="id"]`)
	p.until(`$("#table th.id").getAttribute("aria-sort") === "descending" && $("#rows tr").cells[0].textContent === "` + last + `"`)
	p.click(`[data-sort="idle"]`)
	p.until(`$("#table th.idle").getAttribute("aria-sort") === "descending" && !$("#table th.id").hasAttribute("aria-sort")`)

	p.focus(`#filter [name="q"]`, address(manySessions-1))
	p.until(`$("#matching").textContent === "1 of ` + all + ` match" && $("#rows tr").cells[0].textContent === "` + last + `"`)
	p.run(chromedp.Evaluate(`document.querySelector("#filter [name=q]").value = ""`, nil))
	p.focus(`#filter [name="q"]`, "4711")
	p.until(`$$("#rows tr").length === 1 && $("#rows tr").cells[0].textContent === "4711"`)
	p.run(chromedp.Evaluate(`document.querySelector("#filter [name=q]").value = ""`, nil))
	p.focus(`#filter [name="q"]`, "none")
	p.until(`$("#no-sessions").textContent === "No open session matches." && !$("#no-sessions").hidden`)
}

func TestSessions_ShowHostileTextAsText(t *testing.T) {
	t.Parallel()
	const hostile = `"'><script>document.title='hacked'</script><img src=x onerror=alert(1)>`
	d := poolPage(t, 1, func(int) string { return hostile })
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#rows tr").length === 1`)
	require.Equal(t, hostile[:59]+"…", js[string](p, `$("#rows tr").cells[1].textContent`))
	require.Zero(t, js[int](p, `$$("#rows script, #rows img").length`))
	require.Equal(t, "sessionwheel", js[string](p, `document.title`))
}

func TestSessions_BeyondTheLastOffsetAreFoundByANarrowerSearch(t *testing.T) {
	t.Parallel()
	d := poolPage(t, 1, func(int) string { return "10.0.0.1:1" })
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#rows tr").length === 1`)
	// The server's answer, with as many sessions as it takes long to make.
	p.run(chromedp.Evaluate(`window.fetched = window.fetch; window.fetch = async (path, ...rest) => {
		if (!path.startsWith("api/sessions?")) return window.fetched(path, ...rest);
		const offset = Number(new URL(path, location).searchParams.get("offset"));
		window.asked = Math.max(window.asked ?? 0, offset);
		const { sessions } = await (await window.fetched("api/sessions", ...rest)).json();
		return new Response(JSON.stringify({ total: 20000, matching: 20000, offset, limit: 25, sessions }));
	}`, nil))
	p.until(`$("#next").getAttribute("aria-disabled") === "false"`)
	p.run(chromedp.Evaluate(`for (let i = 0; i < 500; i++) document.querySelector("#next").click()`, nil))
	p.until(`$("#range").textContent.endsWith(": narrow the search to see the others") && $("#next").getAttribute("aria-disabled") === "true"`)
	require.Equal(t, 10_000, js[int](p, `window.asked`))
}
