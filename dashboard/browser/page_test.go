package browser_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

func TestCounters_FollowClientsThatComeAndGo(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, false)
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(counter("Open sessions") + ` === 0`)
	require.NoError(t, c.Connect(30))
	p.until(counter("Open sessions") + ` === 30`)
	p.until(counter("Pending timers") + ` === 30`)
	p.until(`$("#matching").textContent === "30 open" && $$("#rows tr").length === 25`)
	for _, conn := range c.Conns()[25:] { // not those that disconnect below: with unread input that would be a reset
		_, err := fmt.Fprintln(conn, "hello")
		require.NoError(t, err)
	}
	p.until(`$$(".counter").find((c) => c.querySelector(".name").textContent === "Received").querySelector(".sparkline .line").getAttribute("d").length > 0`)
	c.Disconnect(12)
	p.until(counter("Open sessions") + ` === 18`)
	p.until(`$("#reasons").textContent.includes("EOF") && $("#reasons").textContent.includes("12")`)
	p.until(`$$("#rows tr").length === 18`)
	require.Equal(t, "test server", js[string](p, `document.title`))
}

func TestWheel_ShowsItsTimersAndTurns(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, 3*time.Second, false)
	simulate(t, c, 40, 500*time.Millisecond)
	p := openMoving(t, browser.Desktop, s.Page.URL)
	p.until(`$$(".slot.used").length > 0`)
	p.until(`Number($(".center b").textContent) > 0`)
	p.until(`$$(".slot.used title").some((s) => /^Level \d, slot \d+: \d+ timers?, due /.test(s.textContent))`)
	p.until(`$$("#levels tbody tr").some((r) => Number(r.cells[3].textContent) > 0)`)
	p.until(`$(".hand").hasAttribute("transform")`)
	hand := js[string](p, `$(".hand").getAttribute("transform")`)
	p.until(fmt.Sprintf(`$(".hand").getAttribute("transform") !== %q`, hand))
	require.NotEmpty(t, js[string](p, `$("#dial svg").getAttribute("aria-label")`))
	// Some clients fall silent.
	p.until(`$("#reasons").textContent.includes("Timeout")`)
	p.until(`/p99 /.test($("#lateness-aside").textContent) && $$("#lateness-rows tr").length > 0`)
}

func TestReducedMotion_MovesTheHandsWithTheEventsOnly(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, false)
	require.NoError(t, c.Connect(1))
	screen := browser.Desktop
	screen.ReducedMotion = true
	p := openMoving(t, screen, s.Page.URL)
	p.until(`$$(".slot.used").length > 0`)
	p.run(chromedp.Evaluate(`
		window.moves = 0;
		new MutationObserver(() => window.moves++).observe(document.querySelector(".hand"), { attributes: true });
		window.events = 0;
		const parse = JSON.parse;
		JSON.parse = (text) => (window.events++, parse(text));`, nil)) // as the page does with each event
	p.until(`window.events >= 4`)
	require.LessOrEqual(t, js[int](p, `window.moves`), js[int](p, `window.events`)+2)
}

func TestFeed_ReconnectsToAServerThatWasGone(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, false)
	require.NoError(t, c.Connect(3))
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(counter("Open sessions") + ` === 3`)
	p.ExpectNetworkErrors()
	addr := s.Page.Addr
	require.NoError(t, s.Page.Close())
	p.until(`document.getElementById("state").dataset.state === "lost" && $("#state-text").textContent.startsWith("Reconnecting since")`)
	require.NoError(t, c.Connect(4))
	var err error
	s.Page, err = browser.ServePage(dashboard.Config{Source: dashboard.Server(s.Server), Wheel: s.Wheel}, addr)
	require.NoError(t, err)
	p.until(`document.getElementById("state").dataset.state === "live"`)
	p.until(counter("Open sessions") + ` === 7`)
	p.until(`$$("#rows tr").length === 7 && $("#trouble").hidden`)
}

func TestFeed_PollsWhileTooManyPagesAreOpen(t *testing.T) {
	t.Parallel()
	s, _ := echoServer(t, time.Hour, false)
	few, err := browser.ServePage(dashboard.Config{Source: dashboard.Server(s.Server), MaxPages: 1}, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, few.Close()) })
	first := open(t, browser.Desktop, few.URL)
	first.ExpectNetworkErrors() // one more than MaxPages may wait while both pages ask
	b, err := sharedBrowser()
	require.NoError(t, err)
	tab, err := b.Open(browser.Desktop, timeout)
	require.NoError(t, err)
	defer tab.Close()
	second := page{tab, t}
	second.visit(few.URL)
	second.until(`$("#state-text").textContent.includes("MaxPages")`)
	second.until(counter("Open sessions") + ` === 0`) // it polls instead
	first.Close()
	second.until(`document.getElementById("state").dataset.state === "live"`)
}

func TestDarkMode_HasItsOwnColours(t *testing.T) {
	t.Parallel()
	s, _ := echoServer(t, time.Hour, false)
	light := open(t, browser.Desktop, s.Page.URL)
	screen := browser.Desktop
	screen.Dark = true
	dark := open(t, screen, s.Page.URL)
	const colours = `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]`
	l, d := js[[2]string](light, colours), js[[2]string](dark, colours)
	require.NotEqual(t, l[0], d[0])
	require.NotEqual(t, l[1], d[1])
	const bright = `((c) => c.reduce((a, b) => a + b) / 3 > 128)(getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number))`
	require.True(t, js[bool](light, bright))
	require.False(t, js[bool](dark, bright))
}

func TestNarrowScreen_NeedsNoSidewaysScrolling(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, true)
	require.NoError(t, c.Connect(30))
	p := open(t, browser.Screen{Width: 360, Height: 740, Scale: 2}, s.Page.URL)
	p.until(`$$("#rows tr").length === 25 && $$(".slot.used").length > 0`)
	require.LessOrEqual(t, js[int](p, `document.documentElement.scrollWidth`), 360)
	require.Empty(t, js[[]string](p, `$$("body *").filter((e) => !e.closest("svg, .sr, .skip, .scroll, dialog") && e.getBoundingClientRect().right > 361).map((e) => e.outerHTML.slice(0, 80))`))
	require.True(t, js[bool](p, `$$("#rows .action button").every((b) => b.getBoundingClientRect().right <= 361)`), "the buttons can be reached")
}
