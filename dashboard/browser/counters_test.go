package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/pool"
)

// lineOf returns an expression for the number of points of a counter's sparkline.
func lineOf(name string) string {
	return fmt.Sprintf(`($$(".counter").find((c) => c.querySelector(".name").textContent === %q).querySelector(".line").getAttribute("d") ?? "").split(/[ML]/).length - 1`, name)
}

func TestSparklines_ShowThePastWhenThePageIsOpened(t *testing.T) {
	t.Parallel()
	s, err := browser.StartEchoServer(time.Hour, dashboard.Config{Interval: time.Hour, History: time.Minute}) // events add nothing
	require.NoError(t, err)
	c := browser.NewClients(s.Addr)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, s.Close())
	})
	require.NoError(t, c.Connect(3))
	time.Sleep(2 * time.Second) // of 0.4 seconds a sample
	p := open(t, browser.Desktop, s.Page.URL)
	for _, name := range []string{"Open sessions", "Opened", "Received", "Pending timers"} {
		p.until(lineOf(name) + ` >= 4`)
	}
}

func TestSparklines_AreFilledAfterAnInterruption(t *testing.T) {
	t.Parallel()
	s, err := browser.StartEchoServer(time.Hour, dashboard.Config{Interval: time.Hour, History: time.Minute}) // events add nothing
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	awaitHistory(t, s.Page.URL, 2)
	p := open(t, browser.Desktop, s.Page.URL)
	p.until(lineOf("Open sessions") + ` >= 2`)
	p.click("#pause")
	p.until(`document.getElementById("state").dataset.state === "paused"`)
	before := js[int](p, lineOf("Open sessions"))
	awaitHistory(t, s.Page.URL, before+6)
	require.Equal(t, before, js[int](p, lineOf("Open sessions")), "it is paused")
	p.click("#pause")
	p.until(fmt.Sprintf(`%s >= %d`, lineOf("Open sessions"), before+6))
}

// awaitHistory waits until the server has so many samples.
func awaitHistory(t *testing.T, url string, samples int) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url + "api/history")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var history struct {
			At []float64 `json:"uptime_seconds"`
		}
		return json.NewDecoder(resp.Body).Decode(&history) == nil && len(history.At) >= samples
	}, 3*timeout, 100*time.Millisecond)
}

// A dashboard has 4, 6 or 8 counters.
func TestCounters_LeaveNoHoleInTheGrid(t *testing.T) {
	t.Parallel()
	s, _ := echoServer(t, time.Hour, false)
	sessions, err := pool.New(pool.Config[string, fakeConn]{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sessions.Shutdown(context.Background())) })
	plain, err := browser.ServePage(dashboard.Config{Source: dashboard.Pool(sessions, nil, nil)}, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	withWheel := poolPage(t, 0, nil)
	for url, n := range map[string]int{s.Page.URL: 8, withWheel.URL: 6, plain.URL: 4} {
		p := open(t, browser.Desktop, url)
		p.until(fmt.Sprintf(`$$(".counter").filter((c) => !c.hidden).length === %d`, n))
		for _, width := range []int64{360, 641, 700, 895, 897, 1000, 1280, 1600} {
			require.NoError(t, p.SetScreen(browser.Screen{Width: width, Height: 900, Scale: 1}))
			p.until(fmt.Sprintf("innerWidth === %d", width))
			rows := js[[]int](p, `Object.values(Object.groupBy($$(".counter").filter((c) => !c.hidden), (c) => c.getBoundingClientRect().top)).map((row) => row.length)`)
			for _, row := range rows {
				require.Equal(t, rows[0], row, "%d counters at %d pixels: %v", n, width, rows)
			}
			require.LessOrEqual(t, js[int64](p, `document.documentElement.scrollWidth`), width)
		}
	}
}
