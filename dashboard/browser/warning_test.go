package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// rescue is what a wheel's statistics say of its watchdog.
type rescue struct {
	count    int
	ago      any // seconds, or nil
	disabled bool
}

// rescuedPage returns the URL of a page whose wheel's watchdog has fired slots as
// current says, which no wheel does at a test's will.
func rescuedPage(t *testing.T, current *atomic.Pointer[rescue]) string {
	t.Helper()
	w, err := wheel.New(wheel.Config{})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	d, err := dashboard.New(dashboard.Config{Source: dashboard.Server(new(tcp.Server)), Wheel: w})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	stats := func() []byte {
		answer := httptest.NewRecorder()
		d.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/api/stats", nil))
		var st map[string]any
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &st))
		wheel, r := st["wheel"].(map[string]any), current.Load()
		wheel["rescued"], wheel["rescued_ago_seconds"], wheel["library_disabled"] = r.count, r.ago, r.disabled
		changed, err := json.Marshal(st)
		require.NoError(t, err)
		return changed
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/events" {
			d.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			fmt.Fprintf(w, "event: stats\ndata: %s\n\n", stats())
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

func TestWarning_ExplainsRescuedSlotsForTenMinutes(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[rescue]
	current.Store(&rescue{count: 7}) // before the dashboard was made
	p := open(t, browser.Desktop, rescuedPage(t, &current))
	p.until(`$("#wheel-facts").textContent.includes("7")`)
	require.True(t, js[bool](p, `$("#warning").hidden`))

	current.Store(&rescue{count: 8, ago: 0.2})
	p.until(says("warning", "did not wake the wheel"))
	for _, text := range []string{"8 times since the server started", "No session closed early, or late because of it", "If this happens again", "processor time"} {
		require.Contains(t, js[string](p, `$("#warning").textContent`), text)
	}
	require.Contains(t, js[string](p, `$("#announcer").textContent`), "did not wake the wheel")
	require.NotContains(t, js[string](p, `$("#warning").textContent`), "stopped using the library")

	current.Store(&rescue{count: 10, ago: 599.0, disabled: true})
	p.until(says("warning", "stopped using the library"))
	current.Store(&rescue{count: 10, ago: 600.0, disabled: true})
	p.until(`$("#warning").hidden`)
	require.Contains(t, js[string](p, `$("#wheel-facts").textContent`), "the wheel itself")
	current.Store(&rescue{count: 1, ago: 1.0})
	p.until(says("warning", "once since the server started"))
	p.ExpectNetworkErrors() // the server closes before the page
}
