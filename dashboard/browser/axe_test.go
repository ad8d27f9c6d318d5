package browser_test

import (
	_ "embed"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

// axe is axe-core, which looks for what keeps people out.
//
//go:embed testdata/axe-core/axe.min.js
var axe string

func TestThePageKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	s, c := scene(t, 2*time.Second, true)
	crowd(t, c, 60, 500*time.Millisecond)
	for name, look := range map[string]browser.Look{
		"light":  browser.Desktop,
		"dark":   {Width: 1280, Height: 900, Scale: 1, Dark: true},
		"narrow": {Width: 360, Height: 740, Scale: 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, look, s.Page.URL)
			p.until(`$$("#rows tr").length > 5 && $$(".slot.used").length > 0 && $("#reasons").textContent.includes("Timeout") && $$("#lateness-rows tr").length > 0`)
			p.run(chromedp.Evaluate(`document.querySelector("details").open = true`, nil), chromedp.Evaluate(axe, nil))
			require.Empty(t, violations(p, "html"))
			// A dialog is part of the page too.
			p.run(chromedp.Evaluate(`document.getElementById("pause").click()`, nil)) // so that the row stays
			p.run(chromedp.Evaluate(`document.querySelector("#rows button").click()`, nil))
			p.until(`$("#closing").open`)
			require.Empty(t, violations(p, "#closing"))
		})
	}
}

// violations are what axe finds within an element, each with one that shows it.
func violations(p page, within string) []string {
	p.t.Helper()
	var found []string
	p.run(
		chromedp.Evaluate(`axe.run("`+within+`", { resultTypes: ["violations"] }).then((r) =>
			r.violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary).join("; ").slice(0, 400)))`,
			&found, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }),
	)
	for i := range found {
		found[i] = strings.Join(strings.Fields(found[i]), " ")
	}
	return found
}
