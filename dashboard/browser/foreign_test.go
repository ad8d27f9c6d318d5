package browser_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/pool"
)

func TestForeignText_ShowsWhatItIsMadeOfAndTurnsNothingAround(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"user\u202egnp.exe":          "user⟨202E⟩gnp.exe",
		"\u2067a\u2069\u200bb\u00ad": "⟨2067⟩a⟨2069⟩⟨200B⟩b⟨00AD⟩",
		"\x00\x1b[2J\r\n\u2028":      "⟨0000⟩⟨001B⟩[2J⟨000D⟩⟨000A⟩⟨2028⟩",
		" a  b\u00a0c ":              "␣a␣␣b⟨00A0⟩c␣",
		"a b":                        "a b",
		"\u3164\ufe0f":               "⟨3164⟩⟨FE0F⟩",
		"שלום 123":                   "שלום 123",
		"naïve 用户 🙂":                 "naïve 用户 🙂",
	}
	var ids []string
	for id := range texts {
		ids = append(ids, id)
	}
	d, _ := idPage(t, ids...)
	p := open(t, browser.Desktop, d.URL)
	p.until(fmt.Sprintf(`$$("#rows tr").length === %d`, len(ids)))
	for i, id := range ids {
		require.Equal(t, texts[id], js[string](p, rowAt(i)+`.cells[0].textContent`))
		require.Equal(t, "Close session \u2068"+texts[id]+"\u2069", js[string](p, rowAt(i)+`.querySelector("button").getAttribute("aria-label")`))
		p.run(chromedp.Evaluate(`(($$) => `+rowAt(i)+`.querySelector("button").click())((s) => [...document.querySelectorAll(s)])`, nil))
		p.until(`$("#closing").open`)
		require.Equal(t, "Close session "+texts[id]+"?", js[string](p, `$("#closing-heading").textContent`))
		p.click("#cancel")
	}
	require.Empty(t, js[[]string](p, `$$("#rows bdi, dialog bdi").filter((e) => getComputedStyle(e).unicodeBidi !== "isolate").map((e) => e.outerHTML)`))
	require.NotEmpty(t, js[[]string](p, `$$("dialog h2 bdi").map((e) => e.textContent)`))
}

func TestForeignText_ThatIsLongIsCutAndWholeInATitle(t *testing.T) {
	t.Parallel()
	sessions, err := pool.New(pool.Config[string, fakeConn]{IdleTimeout: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sessions.Shutdown(context.Background())) })
	address, reason := strings.Repeat("a", 250), strings.Repeat("r", 250)
	one, err := sessions.Register("1", fakeConn(address))
	require.NoError(t, err)
	one.Close(pool.Reason(reason))
	_, err = sessions.Register("2", fakeConn(address))
	require.NoError(t, err)
	d, err := browser.ServePage(dashboard.Config{Source: dashboard.Pool(sessions, nil, func(c fakeConn) string { return string(c) })}, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#rows tr").length === 1 && $$("#closed-rows tr").length === 1 && $$("#reasons tr").length === 1`)
	for where, whole := range map[string]string{
		`$("#rows .address bdi")`: address, `$("#closed-rows .reason bdi")`: reason, `$("#reasons bdi")`: reason,
	} {
		require.Equal(t, whole[:59]+"…", js[string](p, where+`.textContent`), where)
		require.Equal(t, "\u2068"+whole+"\u2069", js[string](p, where+`.title`), where)
	}
}
