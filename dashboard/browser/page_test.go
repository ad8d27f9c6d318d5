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

func TestNumbersMoveWhileClientsComeAndGo(t *testing.T) {
	s, c := scene(t, time.Hour, false)
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(counter("Open sessions") + ` === 0`)
	require.NoError(t, c.Connect(30))
	p.until(counter("Open sessions") + ` === 30`)
	p.until(counter("Pending timers") + ` === 30`)
	p.until(`$("#matching").textContent === "30 open" && $$("#rows tr").length === 25`)
	for _, conn := range c.Conns()[25:] { // who leave later: what they have not read would make that a reset
		_, err := fmt.Fprintln(conn, "hello")
		require.NoError(t, err)
	}
	p.until(`$$(".counter").find((c) => c.querySelector(".name").textContent === "Received").querySelector(".sparkline .line").getAttribute("d").length > 0`)
	c.Leave(12)
	p.until(counter("Open sessions") + ` === 18`)
	p.until(`$("#reasons").textContent.includes("EOF") && $("#reasons").textContent.includes("12")`)
	p.until(`$$("#rows tr").length === 18`)
	require.Equal(t, "test server", js[string](p, `document.title`))
}

func TestTheWheelShowsItsTimersAndTurns(t *testing.T) {
	s, c := scene(t, 3*time.Second, false)
	crowd(t, c, 40, 500*time.Millisecond)
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(`$$(".slot.used").length > 0`)
	p.until(`Number($(".center b").textContent) > 0`)
	p.until(`$$(".slot.used title").some((s) => /^Level \d, slot \d+: \d+ timers?, up /.test(s.textContent))`)
	p.until(`$$("#levels tbody tr").some((r) => Number(r.cells[3].textContent) > 0)`)
	p.until(`$(".hand").hasAttribute("transform")`)
	hand := js[string](p, `$(".hand").getAttribute("transform")`)
	p.until(fmt.Sprintf(`$(".hand").getAttribute("transform") !== %q`, hand))
	require.NotEmpty(t, js[string](p, `$("#dial svg").getAttribute("aria-label")`))
	// Somebody falls silent, and is late by little.
	p.until(`$("#reasons").textContent.includes("Timeout")`)
	p.until(`/p99 /.test($("#lateness-aside").textContent) && $$("#lateness-rows tr").length > 0`)
}

func TestWhoPrefersReducedMotionSeesTheHandsMoveWithTheFiguresAlone(t *testing.T) {
	s, c := scene(t, time.Hour, false)
	require.NoError(t, c.Connect(1))
	look := browser.Desktop
	look.Still = true
	p := open(t, look, s.Page.URL)
	p.until(`$$(".slot.used").length > 0`)
	p.run(chromedp.Evaluate(`
		window.moves = 0;
		new MutationObserver(() => window.moves++).observe(document.querySelector(".hand"), { attributes: true });
		window.events = 0;
		new MutationObserver(() => window.events++).observe(document.getElementById("uptime"), { childList: true, characterData: true, subtree: true });`, nil))
	p.until(`window.events >= 4`)
	require.LessOrEqual(t, js[int](p, `window.moves`), js[int](p, `window.events`)+2)
}

func TestTheServerThatIsGoneAndComesAgainIsShownAsItIs(t *testing.T) {
	s, c := scene(t, time.Hour, false)
	require.NoError(t, c.Connect(3))
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(counter("Open sessions") + ` === 3`)
	p.ExpectCut()
	addr := s.Page.Addr
	require.NoError(t, s.Page.Close())
	p.until(`document.getElementById("state").dataset.state === "lost" && $("#state-text").textContent.startsWith("Reconnecting since")`)
	require.NoError(t, c.Connect(4))
	var err error
	s.Page, err = browser.NewPage(dashboard.Config{Source: dashboard.Server(s.Server), Wheel: s.Wheel}, addr)
	require.NoError(t, err)
	p.until(`document.getElementById("state").dataset.state === "live"`)
	p.until(counter("Open sessions") + ` === 7`)
	p.until(`$$("#rows tr").length === 7 && $("#trouble").hidden`)
}

func TestThePageIsToldThatThereAreTooManyAndFollowsWhenThereIsRoom(t *testing.T) {
	s, _ := scene(t, time.Hour, false)
	few, err := browser.NewPage(dashboard.Config{Source: dashboard.Server(s.Server), MaxPages: 1}, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, few.Close()) })
	first := open(t, browser.Desktop, few.URL)
	b, err := theBrowser()
	require.NoError(t, err)
	tab, err := b.Open(browser.Desktop, patience)
	require.NoError(t, err)
	defer tab.Close()
	second := page{tab, t}
	second.run(chromedp.Navigate(few.URL))
	second.until(`$("#state-text").textContent.includes("MaxPages")`)
	second.until(counter("Open sessions") + ` === 0`) // the figures come all the same
	first.Close()
	second.until(`document.getElementById("state").dataset.state === "live"`)
}

func TestDarkModeHasColoursOfItsOwn(t *testing.T) {
	s, _ := scene(t, time.Hour, false)
	light := open(t, browser.Desktop, s.Page.URL)
	look := browser.Desktop
	look.Dark = true
	dark := open(t, look, s.Page.URL)
	const colours = `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]`
	l, d := js[[2]string](light, colours), js[[2]string](dark, colours)
	require.NotEqual(t, l[0], d[0])
	require.NotEqual(t, l[1], d[1])
	const bright = `((c) => c.reduce((a, b) => a + b) / 3 > 128)(getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number))`
	require.True(t, js[bool](light, bright))
	require.False(t, js[bool](dark, bright))
}

func TestANarrowScreenNeedsNoScrollingSideways(t *testing.T) {
	s, c := scene(t, time.Hour, true)
	require.NoError(t, c.Connect(30))
	p := open(t, browser.Look{Width: 360, Height: 740, Scale: 2}, s.Page.URL)
	p.until(`$$("#rows tr").length === 25 && $$(".slot.used").length > 0`)
	require.LessOrEqual(t, js[int](p, `document.documentElement.scrollWidth`), 360)
	require.Empty(t, js[[]string](p, `$$("body *").filter((e) => !e.closest("svg, .sr, .skip, .scroll, dialog") && e.getBoundingClientRect().right > 361).map((e) => e.outerHTML.slice(0, 80))`))
	require.True(t, js[bool](p, `$$("#rows .action button").every((b) => b.getBoundingClientRect().right <= 361)`), "the buttons can be reached")
}
