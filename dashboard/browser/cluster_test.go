package browser_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/tcp"
)

const hostileID = `"'><script>document.title='hacked'</script><img src=x onerror=alert(1)>/..?&#`

// clusterPage returns the page of a server in a cluster that has hostile names in it,
// and n sessions named user-1 and so on.
func clusterPage(t *testing.T, n int, closable bool) (*browser.FakeCluster, *browser.Page) {
	t.Helper()
	since := time.Now().Add(-time.Hour)
	sessions := []dashboard.ClusterSession{
		{ID: hostileID, Node: "b", Since: since, Metadata: []byte(`</td><b onclick="alert(1)">` + "\x00\u202e")},
		{ID: strings.Repeat("long", 250), Node: "a", Metadata: []byte(strings.Repeat("m", 64<<10))},
	}
	for i := range n {
		sessions = append(sessions, dashboard.ClusterSession{ID: fmt.Sprint("user-", i+1), Node: "b", Since: since, Metadata: []byte("127.0.0.1:4000")})
	}
	c := browser.NewFakeCluster([]dashboard.ClusterNode{
		{Name: "a", Incarnation: "a_KQ5DT2W7XH3MZ0PLRB", Sessions: 1, This: true},
		{Name: `<img src=x onerror="alert(1)">`, Incarnation: "<i>", Sessions: 0},
		{Name: strings.Repeat("b", 64), Incarnation: strings.Repeat("b", 64) + "_0A9S8D7F6G5H4J3K2L", Sessions: n + 1},
	}, sessions)
	config := dashboard.Config{Source: dashboard.Server(new(tcp.Server)), Cluster: c}
	if closable {
		config.Authorize = allow
	}
	d, err := browser.ServePage(config, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return c, d
}

// searchCluster searches the cluster, by keyboard.
func (p page) searchCluster(text string) {
	p.t.Helper()
	p.run(chromedp.Evaluate(`document.querySelector("#seek [name=q]").value = ""`, nil))
	p.focus(`#seek [name="q"]`, text, kb.Enter)
}

// pollNodes has the page request the nodes now, rather than in five seconds.
func (p page) pollNodes() {
	p.t.Helper()
	p.run(chromedp.Evaluate(`document.dispatchEvent(new Event("visibilitychange"))`, nil))
}

// says returns an expression that is true if the element with the ID shows a text, apart
// from the marks around foreign texts.
func says(id, text string) string {
	return fmt.Sprintf(`!$("#%s").hidden && $("#%[1]s").textContent.replace(/[\u2068\u2069]/g, "").includes(%q)`, id, text)
}

func TestCluster_IsShownOnlyIfThereIsOne(t *testing.T) {
	t.Parallel()
	s, _ := echoServer(t, time.Hour, false)
	alone := open(t, browser.Desktop, s.Page.URL)
	alone.until(counter("Open sessions") + ` === 0`)
	require.True(t, js[bool](alone, `$("#cluster").hidden && $("#cluster").getBoundingClientRect().height === 0`))

	c, d := clusterPage(t, 0, false)
	p := open(t, browser.Desktop, d.URL)
	p.until(`!$("#cluster").hidden && $$("#nodes tr").length === 3`)
	p.until(says("cluster-aside", "3 nodes, 2 sessions") + ` && $("#isolated").hidden && $("#cluster-state").textContent === "Active"`)
	require.Equal(t, [][]string{{"athis node", "1", "…3MZ0PLRB"}},
		js[[][]string](p, `$$("#nodes tr").slice(0, 1).map((r) => [...r.cells].map((c) => c.textContent))`))
	require.Equal(t, []bool{false, true, true}, js[[]bool](p, `$$(".this-node").map((m) => m.hidden)`))
	require.Empty(t, js[string](p, `$("#search-outcome").textContent`), "the broker is asked only for a search")

	c.SetState("Isolated", nil)
	p.pollNodes()
	p.until(says("isolated", "is Isolated, not Active") + ` && ` + says("announcer", "This node is Isolated."))
	c.SetState("Active", nil)
	p.pollNodes()
	p.until(`$("#isolated").hidden`)
}

func TestClusterSearch_FindsSessionsByTheirIDOrAPart(t *testing.T) {
	t.Parallel()
	c, d := clusterPage(t, 60, false)
	p := open(t, browser.Desktop, d.URL)
	p.until(`!$("#cluster").hidden`)
	p.searchCluster("user-7")
	p.until(`$$("#found-rows tr").length === 1 && $("#found-rows tr").cells[0].textContent === "user-7"`)
	require.Equal(t, []string{"b", "127.0.0.1:4000"}, js[[]string](p, `[1, 3].map((i) => $("#found-rows tr").cells[i].textContent)`))
	require.True(t, js[bool](p, `Math.abs(Date.now() - new Date($("#found-rows time").dateTime) - 3600_000) < 1800_000 && $("#found .action").hidden`))

	require.Regexp(t, ` (UTC|GMT|[A-Z]{3,5})([+-]\d+)?$`, js[string](p, `$("#found-rows time").textContent`), "with its zone")

	p.searchCluster("ser-1")
	p.until(`$$("#found-rows tr").length === 11 && ` + says("search-outcome", "11 sessions whose ID is or contains “ser-1”."))
	p.searchCluster("none")
	p.until(says("search-outcome", "No session whose ID is or contains “none”.") + ` && $("#found-scroll").hidden`)
	p.searchCluster("")
	p.until(`$$("#found-rows tr").length === 50 && ` + says("search-outcome", "50 sessions; there are more"))

	unblock := c.Block()
	p.searchCluster("user-8")
	p.until(says("search-outcome", "Asking the broker…") + ` && $("#found-scroll").getAttribute("aria-busy") === "true"`)
	require.Equal(t, 50, js[int](p, `$$("#found-rows tr").length`), "the previous result stays until then")
	unblock()
	p.until(`$$("#found-rows tr").length === 1 && $("#found-scroll").getAttribute("aria-busy") === "false"`)

	p.ExpectNetworkErrors()
	c.SetState("Isolated", errors.New("the broker is broken"))
	p.searchCluster("user-9")
	p.until(says("search-trouble", "the broker is broken"))
	p.until(`document.getElementById("state").dataset.state === "live" && ` + counter("Open sessions") + ` === 0`)
	c.SetState("Active", nil)
	p.searchCluster("user-9")
	p.until(`$("#search-trouble").hidden && $("#found-rows tr").cells[0].textContent === "user-9"`)
}

func TestClusterSearch_SaysThatItWasCutOff(t *testing.T) {
	t.Parallel()
	c, d := clusterPage(t, 0, false)
	p := open(t, browser.Desktop, d.URL)
	p.until(`!$("#cluster").hidden`)
	// Another test has the server's answer, which takes ten seconds.
	p.run(chromedp.Evaluate(`window.fetch = async () => new Response(JSON.stringify({ looked_at: 12345, cut: "time", sessions: [] }))`, nil))
	p.searchCluster("x")
	p.until(says("search-outcome", "cut off after ten seconds and 12,345 sessions; it found 0"))
	require.Len(t, c.IDs(), 2)
}

func TestCluster_ShowsHostileNamesAsTextAndClosesByID(t *testing.T) {
	t.Parallel()
	c, d := clusterPage(t, 0, true)
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#nodes tr").length === 3`)
	p.searchCluster("")
	p.until(`$$("#found-rows tr").length === 2`)
	require.Equal(t, hostileID, js[string](p, `$("#found-rows th").textContent`))
	require.Equal(t, `</td><b onclick="alert(1)">⟨0000⟩⟨202E⟩`, js[string](p, `$("#found-rows tr").cells[3].textContent`))
	require.Equal(t, strings.Repeat("m", 256)+" … (66 kB in all)", js[string](p, `$$("#found-rows tr")[1].cells[3].textContent`))
	require.Equal(t, "unknown", js[string](p, `$$("#found-rows tr")[1].cells[2].textContent`))
	p.searchCluster(hostileID[:20])
	p.until(says("search-outcome", "1 session") + ` && $$("#found-rows tr").length === 1`)

	p.focus("#found-rows button", kb.Enter)
	p.until(`$("#closing").open && $("#closing-heading").textContent.includes("<script>") && $("#closing-whom").textContent.startsWith("On node b.")`)
	p.run(chromedp.KeyEvent(kb.Escape))
	p.until(`!$("#closing").open`)
	require.Len(t, c.IDs(), 2, "nothing happens without the confirmation")
	p.focus("#found-rows button", kb.Enter)
	p.until(`$("#closing").open && document.activeElement.name === "reason"`)
	p.run(chromedp.KeyEvent("seen enough"), chromedp.KeyEvent(kb.Enter))
	p.until(says("kicked", "was closed: seen enough") + ` && ` + says("search-outcome", "No session"))
	require.Equal(t, []string{strings.Repeat("long", 250)}, c.IDs())
	require.Equal(t, "cluster", js[string](p, `document.activeElement.id`), "the keyboard stays near")

	require.Zero(t, js[int](p, `$$("#cluster script, #cluster img, #cluster b, #cluster i, dialog script, dialog img").length`))
	require.Equal(t, "sessionwheel", js[string](p, `document.title`))
}

func TestCluster_IsAccessible(t *testing.T) {
	t.Parallel()
	for name, screen := range map[string]browser.Screen{
		"light":  browser.Desktop,
		"dark":   {Width: 1280, Height: 900, Scale: 1, Dark: true},
		"narrow": {Width: 360, Height: 740, Scale: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, d := clusterPage(t, 30, true)
			p := open(t, screen, d.URL)
			p.until(`$$("#nodes tr").length === 3`)
			p.run(chromedp.Evaluate(axe, nil))
			within := "#cluster" // the rest of the page is that of TestPage_IsAccessible
			if name == "light" {
				within = "html"
			}
			require.Empty(t, violations(p, within))
			p.searchCluster("")
			p.until(`$$("#found-rows tr").length === 32`)
			c.SetState("Isolated", nil)
			p.pollNodes()
			p.until(`!$("#isolated").hidden`)
			require.Empty(t, violations(p, "#cluster"))
			require.LessOrEqual(t, js[int64](p, `document.documentElement.scrollWidth`), screen.Width)
			require.Empty(t, js[[]string](p, `$$("#cluster *").filter((e) => !e.closest(".sr") && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))`))
			p.ExpectNetworkErrors()
			c.SetState("Isolated", errors.New("the broker is broken"))
			p.searchCluster("a")
			p.until(`!$("#search-trouble").hidden`)
			require.Empty(t, violations(p, "#cluster"))
		})
	}
}
