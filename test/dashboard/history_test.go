package dashboard_test

import (
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// history is what api/history says.
type history struct {
	Interval   float64   `json:"interval_seconds"`
	Uptime     []float64 `json:"uptime_seconds"`
	Open       []int     `json:"open"`
	Registered []int     `json:"registered"`
	Closed     []int     `json:"closed"`
	Refused    []int     `json:"refused"`
	BytesIn    []int     `json:"bytes_in"`
	BytesOut   []int     `json:"bytes_out"`
	Pending    []int     `json:"pending"`
	Callbacks  []int     `json:"callbacks"`
}

func getHistory(t *testing.T, h http.Handler) history {
	t.Helper()
	return getJSON[history](t, h, "/api/history")
}

func TestHistory_IsKeptWhileNoPageIsOpen(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		w := harness.NewWheel(t, wheel.Config{MaxCallbacks: 1})
		p := newPool(t, pool.Config[int, addrConn]{Wheel: w, MaxSessions: 3})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Wheel: w})
		time.Sleep(3 * time.Second) // samples are taken after 0 and 2 seconds so far
		for id := range 4 {
			_, _ = p.Register(id, "")
		}
		for range 2 {
			w.AfterFunc(0, func() { time.Sleep(2 * time.Second) })
		}
		time.Sleep(2 * time.Second)
		p.CloseSession(0, "Bye")
		time.Sleep(10 * time.Second)

		got := getHistory(t, h)
		require.InDelta(t, 2, got.Interval, 1e-9)
		require.InDeltaSlice(t, []float64{0, 2, 4, 6, 8, 10, 12, 14}, got.Uptime, 1e-6)
		require.Equal(t, []int{0, 0, 3, 2, 2, 2, 2, 2}, got.Open)
		require.Equal(t, []int{0, 0, 3, 3, 3, 3, 3, 3}, got.Registered)
		require.Equal(t, []int{0, 0, 0, 1, 1, 1, 1, 1}, got.Closed)
		require.Equal(t, []int{0, 0, 1, 1, 1, 1, 1, 1}, got.Refused)
		require.Equal(t, []int{0, 0, 3, 2, 2, 2, 2, 2}, got.Pending)
		require.Equal(t, []int{0, 0, 2, 1, 0, 0, 0, 0}, got.Callbacks, "one runs, one waits")
		require.Equal(t, make([]int, 8), got.BytesIn)
		require.Equal(t, make([]int, 8), got.BytesOut)
	})
}

func TestHistory_HasTheTrafficOfAServer(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) { _ = s.Send(append(line, "!\n"...)) }}
		h := newHandler(t, dashboard.Config{Source: dashboard.Server(srv)})
		conn := harness.ListenPipes(t, srv)()
		harness.Write(t, conn, "hello\n")
		harness.Read(t, conn, "hello!\n")
		time.Sleep(3 * time.Second)
		got := getHistory(t, h)
		require.Equal(t, []int{0, 6}, got.BytesIn)
		require.Equal(t, []int{0, 7}, got.BytesOut)
	})
}

func TestHistory_KeepsTheLast150Samples(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		for span, interval := range map[time.Duration]float64{0: 2, time.Minute: 0.4, 24 * time.Hour: 576} {
			h := newHandler(t, dashboard.Config{Source: dashboard.Server(new(tcp.Server)), History: span})
			slept := 2 * max(span, 5*time.Minute) // the samples have been replaced once
			time.Sleep(slept + 100*time.Millisecond)
			got := getHistory(t, h)
			require.InDelta(t, interval, got.Interval, 1e-9)
			require.Len(t, got.Uptime, 150)
			for i, up := range got.Uptime {
				require.InDelta(t, slept.Seconds()-float64(149-i)*interval, up, 1e-3)
			}
			h.Close()
		}
	})
}

func TestHistory_CanBeTurnedOff(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		h := newHandler(t, dashboard.Config{Source: dashboard.Server(new(tcp.Server)), History: -1})
		time.Sleep(time.Hour)
		require.JSONEq(t, `{"interval_seconds":0,"uptime_seconds":[],"open":[],"registered":[],"closed":[],"refused":[],
			"bytes_in":[],"bytes_out":[],"pending":[],"callbacks":[]}`, request(h, http.MethodGet, "/api/history").Body.String())
	})
}

func TestHistory_RefusesASpanThatIsTooShortOrTooLong(t *testing.T) {
	for _, span := range []time.Duration{1, time.Minute - 1, 24*time.Hour + 1} {
		_, err := dashboard.New(dashboard.Config{Source: dashboard.Server(new(tcp.Server)), History: span})
		require.ErrorContains(t, err, "Config.History", span)
	}
}

func TestHistory_EndsWithClose(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		all := make([]*dashboard.Handler, 200)
		for i := range all {
			all[i] = newHandler(t, dashboard.Config{Source: dashboard.Server(new(tcp.Server))})
		}
		time.Sleep(4 * time.Second) // some are about to take a sample
		for _, h := range all {
			h.Close()
			h.Close()
		}
		time.Sleep(time.Minute)
		for _, h := range all {
			require.LessOrEqual(t, len(getHistory(t, h).Uptime), 3)
		}
	})
}

// A bubble ends when no goroutine is left in it; one that slept between samples
// would keep it alive for ever.
func TestHistory_NeedsNoGoroutineOfAHandlerThatIsNeverClosed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		h, err := dashboard.New(dashboard.Config{Source: dashboard.Server(new(tcp.Server))})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, getHistory(t, h).Uptime, 31)
	})
}

func TestHistory_DoesNotKeepAHandlerAliveThatIsNeverClosed(t *testing.T) {
	handler := func() weak.Pointer[dashboard.Handler] {
		h, err := dashboard.New(dashboard.Config{Source: dashboard.Server(new(tcp.Server)), History: time.Minute})
		require.NoError(t, err)
		return weak.Make(h)
	}()
	harness.Until(t, func() bool { runtime.GC(); return handler.Value() == nil })
	time.Sleep(time.Second) // the timer fires once more, to nothing
}
