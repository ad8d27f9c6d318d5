package browser_test

import (
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

// axe is axe-core, which finds accessibility problems.
//
//go:embed testdata/axe-core/axe.min.js
var axe string

func TestPage_IsAccessible(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, 2*time.Second, true)
	simulate(t, c, 12, 500*time.Millisecond)
	for name, screen := range map[string]browser.Screen{
		"light":  browser.Desktop,
		"dark":   {Width: 1280, Height: 900, Scale: 1, Dark: true},
		"narrow": {Width: 360, Height: 740, Scale: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, screen, s.Page.URL)
			p.until(`$$("#rows tr").length > 5 && $$(".slot.used").length > 0 && $("#reasons").textContent.includes("Timeout") && $$("#lateness-rows tr").length > 0 && $$("#closed-rows tr").length > 0`)
			p.run(chromedp.Evaluate(`document.querySelector("details").open = true`, nil), chromedp.Evaluate(axe, nil))
			require.Empty(t, violations(p, "html"))
			// The dialog.
			p.click("#pause") // or the session may close
			p.click("#rows button")
			p.until(`$("#closing").open`)
			require.Empty(t, violations(p, "#closing"))
		})
	}
}

// violations returns the problems that axe finds within an element, and where.
func violations(p page, within string) []string {
	p.t.Helper()
	var found []string
	p.run(
		chromedp.Evaluate(`axe.run("`+within+`", { resultTypes: ["violations"] }).then((r) =>
			r.violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary).join("; ").slice(0, 400)))`,
			&found, awaitPromise),
	)
	for i := range found {
		found[i] = strings.Join(strings.Fields(found[i]), " ")
	}
	return found
}
