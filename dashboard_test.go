package sessionwheel_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// dashConn is a connection with an address.
type dashConn string

func (dashConn) Close() error           { return nil }
func (c dashConn) RemoteAddr() net.Addr { return dashAddr(c) }

type dashAddr string

func (dashAddr) Network() string  { return "tcp" }
func (a dashAddr) String() string { return string(a) }

// dashPool makes a pool that is shut down when the test ends.
func dashPool[K comparable](t testing.TB, c pool.Config[K, dashConn]) *pool.Pool[K, dashConn] {
	t.Helper()
	p, err := pool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

func dashRegister[K comparable](t testing.TB, p *pool.Pool[K, dashConn], id K, addr string) *pool.Session[K, dashConn] {
	t.Helper()
	s, err := p.Register(id, dashConn(addr))
	require.NoError(t, err)
	return s
}

// dashNew makes a dashboard that is closed when the test ends.
func dashNew(t testing.TB, c dashboard.Config) *dashboard.Handler {
	t.Helper()
	h, err := dashboard.New(c)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

// dashDo makes a request as the page would.
func dashDo(h http.Handler, method, path string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("X-Sessionwheel-Request", "1")
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func dashGet[T any](t testing.TB, h http.Handler, path string) (answer T) {
	t.Helper()
	w := dashDo(h, http.MethodGet, path)
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer
}

// dashError is the text of an error.
func dashError(t testing.TB, w *httptest.ResponseRecorder, status int) string {
	t.Helper()
	require.Equal(t, status, w.Code, "%s", w.Body)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var answer struct{ Error string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	require.NotEmpty(t, answer.Error)
	return answer.Error
}

func dashAllow(*http.Request) error { return nil }

type (
	dashStats struct {
		Time     time.Time
		Uptime   float64 `json:"uptime_seconds"`
		Interval float64 `json:"interval_seconds"`
		Title    string
		Closable bool
		Sessions struct {
			Open, Registered, Closed int
			Refused                  struct {
				Duplicate, Full, Closed int
				PerIP                   int `json:"per_ip"`
			}
			ClosedByReason map[string]int `json:"closed_by_reason"`
		}
		Traffic *struct {
			BytesIn  int `json:"bytes_in"`
			BytesOut int `json:"bytes_out"`
			FramesIn int `json:"frames_in"`
		}
		Wheel *dashWheel
	}
	dashWheel struct {
		Tick           float64 `json:"tick_seconds"`
		Pending, Slots int
		Fired, Moved   uint64
		Now            float64 `json:"now_seconds"`
		Lateness       struct {
			Count   uint64
			Sum     float64 `json:"sum_seconds"`
			P50     float64 `json:"p50_seconds"`
			P99     float64 `json:"p99_seconds"`
			Buckets []struct {
				AtMost *float64 `json:"le_seconds"`
				Count  uint64
			}
		}
		Levels []struct {
			Level int
			Slot  float64 `json:"slot_seconds"`
			Slots []dashSlot
		}
	}
	dashSlot struct {
		Index  int
		Up     float64 `json:"up_seconds"`
		Timers int
	}
	dashSession struct {
		ID, Address string
		Age         float64  `json:"age_seconds"`
		Idle        float64  `json:"idle_seconds"`
		Remaining   *float64 `json:"remaining_seconds"`
	}
	dashPage struct {
		Total, Matching, Offset, Limit int
		Sessions                       []dashSession
	}
)

func TestADashboardShowsWhatThePoolCounts(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := dashPool(t, pool.Config[int, dashConn]{IdleTimeout: 10 * time.Second, MaxSessions: 3})
		h := dashNew(t, dashboard.Config{Title: "a <title>", Source: dashboard.Pool(p, nil, nil), Interval: 2 * time.Second})
		for id := range 3 {
			dashRegister(t, p, id, "")
		}
		_, _ = p.Register(2, "")
		_, _ = p.Register(3, "")
		_, _ = p.Register(3, "")
		p.CloseSession(0, "Kicked")
		time.Sleep(time.Second)
		st := dashGet[dashStats](t, h, "/api/stats")
		require.True(t, st.Time.Equal(time.Now()))
		require.InDelta(t, 1, st.Uptime, 1e-9)
		require.InDelta(t, 2, st.Interval, 0)
		require.Equal(t, "a <title>", st.Title)
		require.False(t, st.Closable)
		require.Equal(t, 2, st.Sessions.Open)
		require.Equal(t, 3, st.Sessions.Registered)
		require.Equal(t, 1, st.Sessions.Closed)
		require.Equal(t, 1, st.Sessions.Refused.Duplicate)
		require.Equal(t, 2, st.Sessions.Refused.Full)
		require.Equal(t, map[string]int{"Kicked": 1}, st.Sessions.ClosedByReason)
		require.Nil(t, st.Traffic)
		require.Nil(t, st.Wheel)

		time.Sleep(9*time.Second + poolTick)
		st = dashGet[dashStats](t, h, "/api/stats")
		require.Equal(t, map[string]int{"Kicked": 1, "Timeout": 2}, st.Sessions.ClosedByReason)
		require.NoError(t, p.Shutdown(t.Context()))
		_, _ = p.Register(4, "")
		time.Sleep(time.Second)
		require.Equal(t, 1, dashGet[dashStats](t, h, "/api/stats").Sessions.Refused.Closed)
	})
}

func TestADashboardDrawsTheWheelAsItIs(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		w := poolWheel(t)
		p := dashPool(t, pool.Config[int, dashConn]{Wheel: w})
		h := dashNew(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Wheel: w, Authorize: dashAllow})
		var fired atomic.Uint64
		for i := range 1000 {
			w.AfterFunc(time.Duration(i+1)*time.Millisecond, func() { fired.Add(1) })
			w.AfterFunc(time.Duration(i*i+5_000)*time.Millisecond, func() {})
		}
		time.Sleep(1500*time.Millisecond + poolTick/2) // between two ticks
		synctest.Wait()
		st := dashGet[dashStats](t, h, "/api/stats")
		require.True(t, st.Closable)
		got, want := st.Wheel, w.Stats()
		require.NotNil(t, got)
		require.InDelta(t, 0.01, got.Tick, 1e-12)
		require.InDelta(t, w.Elapsed().Seconds(), got.Now, 1e-9)
		require.Equal(t, []any{want.Pending, want.Slots, want.Fired, want.Moved}, []any{got.Pending, got.Slots, got.Fired, got.Moved})
		require.Equal(t, want.Late.Count(), got.Lateness.Count)
		require.Equal(t, fired.Load(), got.Lateness.Count)
		require.InDelta(t, want.Late.Sum.Seconds(), got.Lateness.Sum, 1e-9)
		require.InDelta(t, want.Late.Quantile(0.5).Seconds(), got.Lateness.P50, 1e-12)
		require.InDelta(t, want.Late.Quantile(0.99).Seconds(), got.Lateness.P99, 1e-12)

		bucket := 0
		for i, n := range want.Late.Counts {
			if n != 0 {
				require.Equal(t, n, got.Lateness.Buckets[bucket].Count)
				require.InDelta(t, wheel.LatenessBound(i).Seconds(), *got.Lateness.Buckets[bucket].AtMost, 1e-12)
				bucket++
			}
		}
		require.Len(t, got.Lateness.Buckets, bucket)

		wanted := make(map[int][]dashSlot)
		for _, s := range w.Slots() {
			wanted[s.Level] = append(wanted[s.Level], dashSlot{s.Index, s.Up.Seconds(), s.Timers})
		}
		require.Greater(t, len(wanted), 1)
		require.Len(t, got.Levels, len(wanted))
		timers, before := 0, -1
		for _, l := range got.Levels {
			require.Greater(t, l.Level, before)
			before = l.Level
			require.InDelta(t, 0.01*math.Pow(64, float64(l.Level)), l.Slot, 1e-6)
			require.Equal(t, wanted[l.Level], l.Slots)
			for _, s := range l.Slots {
				timers += s.Timers
			}
		}
		require.Equal(t, got.Pending, timers)
	})
}

func TestADashboardShowsATCPServerAndClosesItsSessions(t *testing.T) {
	w := poolWheel(t)
	srv := &tcp.Server{Wheel: w, MaxSessionsPerIP: 2, OnMessage: tcpEcho, IdleTimeout: time.Hour}
	h := dashNew(t, dashboard.Config{Source: dashboard.Server(srv), Wheel: w, Authorize: dashAllow})
	require.Empty(t, dashGet[dashPage](t, h, "/api/sessions").Sessions, "it does not serve yet")
	require.Zero(t, dashGet[dashStats](t, h, "/api/stats").Sessions.Registered)
	dashError(t, dashDo(h, http.MethodDelete, "/api/sessions/1"), http.StatusNotFound)

	events := tcpWatch(srv)
	dial := tcpListen(t, srv)
	first, second := dial(), dial()
	for _, conn := range []net.Conn{first, second} {
		tcpWrite(t, conn, "hello\n")
		tcpRead(t, conn, "hello\n")
	}
	tcpGone(t, dial()) // the third from one address
	var st dashStats
	require.Eventually(t, func() bool {
		st = dashGet[dashStats](t, h, "/api/stats")
		return st.Sessions.Refused.PerIP == 1
	}, tcpPatience, 10*time.Millisecond)
	require.Equal(t, 2, st.Sessions.Open)
	require.Equal(t, 2, st.Traffic.FramesIn)
	require.Equal(t, 12, st.Traffic.BytesIn)
	require.Equal(t, 12, st.Traffic.BytesOut)
	require.Equal(t, 2, st.Wheel.Pending)

	page := dashGet[dashPage](t, h, "/api/sessions?sort=id")
	require.Equal(t, 2, page.Total)
	addresses := []string{page.Sessions[0].Address, page.Sessions[1].Address}
	require.ElementsMatch(t, []string{first.LocalAddr().String(), second.LocalAddr().String()}, addresses)
	require.InDelta(t, 3600, *page.Sessions[0].Remaining+page.Sessions[0].Idle, 600)

	one := page.Sessions[0]
	answer := dashDo(h, http.MethodDelete, "/api/sessions/"+one.ID+"?reason=Rude")
	require.Equal(t, http.StatusOK, answer.Code)
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"reason":"Rude"}`, one.ID), answer.Body.String())
	require.Equal(t, pool.Reason("Rude"), tcpNext(t, events.closed))
	dashError(t, dashDo(h, http.MethodDelete, "/api/sessions/"+one.ID), http.StatusNotFound)
	other := page.Sessions[1].ID
	for _, alias := range []string{"0" + other, "+" + other, other + "0", "x", "", "-1", "99999999999999999999"} {
		dashError(t, dashDo(h, http.MethodDelete, "/api/sessions/"+alias), http.StatusNotFound)
	}
	require.Equal(t, http.StatusOK, dashDo(h, http.MethodDelete, "/api/sessions/"+other).Code)
	require.Equal(t, pool.Reason("Closed by operator"), tcpNext(t, events.closed))
}

func TestADashboardShowsAUDPServerAndClosesItsSessions(t *testing.T) {
	closed := make(chan pool.Reason, 1)
	srv := &udp.Server{
		OnMessage:       func(s *udp.Session, p []byte) { _ = s.Send(p) },
		OnSessionClosed: func(_ *udp.Session, r pool.Reason) { closed <- r },
	}
	h := dashNew(t, dashboard.Config{Source: dashboard.UDP(srv), Authorize: dashAllow})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(conn.(*net.UDPConn)) }() // ends with Shutdown, waited for below
	peer, err := net.Dial("udp", conn.LocalAddr().String())
	require.NoError(t, err)
	defer peer.Close()
	require.NoError(t, peer.SetDeadline(time.Now().Add(tcpPatience)))
	_, err = peer.Write([]byte("hello"))
	require.NoError(t, err)
	_, err = peer.Read(make([]byte, 5))
	require.NoError(t, err)

	st := dashGet[dashStats](t, h, "/api/stats")
	require.Equal(t, 1, st.Sessions.Open)
	require.Nil(t, st.Traffic)
	page := dashGet[dashPage](t, h, "/api/sessions")
	require.Len(t, page.Sessions, 1)
	require.Equal(t, peer.LocalAddr().String(), page.Sessions[0].Address)
	id := page.Sessions[0].ID
	require.Equal(t, peer.LocalAddr().(*net.UDPAddr).AddrPort(), netip.MustParseAddrPort(id))
	for _, other := range []string{"127.0.0.1:1", "127.0.0.1", "x"} {
		dashError(t, dashDo(h, http.MethodDelete, "/api/sessions/"+other), http.StatusNotFound)
	}
	require.Equal(t, http.StatusOK, dashDo(h, http.MethodDelete, "/api/sessions/"+id+"?reason=Rude").Code)
	require.Equal(t, pool.Reason("Rude"), tcpNext(t, closed))
	require.NoError(t, srv.Shutdown(t.Context()))
	require.ErrorIs(t, tcpNext(t, served), udp.ErrServerClosed)
}

func TestAnErrorOfADashboardsConfigNamesTheField(t *testing.T) {
	source := dashboard.Server(new(tcp.Server))
	for field, c := range map[string]dashboard.Config{
		"Config.Source":       {},
		"Config.Hosts":        {Source: source, Hosts: []string{"ops.example.com", "https://ops.example.com"}},
		"Config.Interval":     {Source: source, Interval: 99 * time.Millisecond},
		"Config.WriteTimeout": {Source: source, WriteTimeout: -1},
		"Config.MaxPages":     {Source: source, MaxPages: -1},
	} {
		h, err := dashboard.New(c)
		require.ErrorContains(t, err, "dashboard: "+field)
		require.Nil(t, h)
	}
	for _, nothing := range []dashboard.Source{
		dashboard.Server(nil), dashboard.UDP(nil), dashboard.Pool[int, dashConn](nil, nil, nil),
	} {
		_, err := dashboard.New(dashboard.Config{Source: nothing})
		require.ErrorContains(t, err, "dashboard: Config.Source")
	}
}

func TestPollingCostsTenSnapshotsAnInterval(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		h := dashNew(t, dashboard.Config{Source: dashboard.Server(new(tcp.Server))})
		taken := make(map[string]bool)
		for range 1000 {
			taken[dashDo(h, http.MethodGet, "/api/stats").Body.String()] = true
			time.Sleep(time.Millisecond)
		}
		require.Len(t, taken, 10)
		for body := range taken {
			require.True(t, strings.HasPrefix(body, `{"time":"2000-01-01T00:00:0`), body)
		}
	})
}
