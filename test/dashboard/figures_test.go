package dashboard_test

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
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
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestStats_CountTheIDsThatADirectoryDidNotGive(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[string]()
		d.Refuse = errors.New("taken")
		p := newPool(t, pool.Config[string, addrConn]{Directory: d})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
		_, err := p.Register("ann", "")
		require.Error(t, err)
		require.Contains(t, request(h, http.MethodGet, "/api/stats").Body.String(), `"unclaimed":1`)
		time.Sleep(3 * time.Second)
		require.Contains(t, request(h, http.MethodGet, "/api/history").Body.String(), `"refused":[0,1]`)
	})
}

func TestStats_CutLongReasonsAndCountThoseThatBecomeEqualTogether(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[int, addrConn]{})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil)})
		long := strings.Repeat("r", 256)
		register(t, p, 1, "").Close(pool.Reason(long + "1"))
		register(t, p, 2, "").Close(pool.Reason(long + "2"))
		require.Equal(t, map[string]int{long: 2}, getJSON[statsAnswer](t, h, "/api/stats").Sessions.ClosedByReason)
	})
}

func TestStats_ShowWhatThePoolCounts(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[int, addrConn]{IdleTimeout: 10 * time.Second, MaxSessions: 3})
		h := newHandler(t, dashboard.Config{Title: "a <title>", Source: dashboard.Pool(p, nil, nil), Interval: 2 * time.Second})
		for id := range 3 {
			register(t, p, id, "")
		}
		_, _ = p.Register(2, "")
		_, _ = p.Register(3, "")
		_, _ = p.Register(3, "")
		p.CloseSession(0, "Kicked")
		time.Sleep(time.Second)
		st := getJSON[statsAnswer](t, h, "/api/stats")
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

		time.Sleep(9*time.Second + harness.Tick)
		st = getJSON[statsAnswer](t, h, "/api/stats")
		require.Equal(t, map[string]int{"Kicked": 1, "Timeout": 2}, st.Sessions.ClosedByReason)
		require.NoError(t, p.Shutdown(t.Context()))
		_, _ = p.Register(4, "")
		time.Sleep(time.Second)
		require.Equal(t, 1, getJSON[statsAnswer](t, h, "/api/stats").Sessions.Refused.Closed)
	})
}

func TestStats_ShowTheWheelAsItIs(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		w := harness.NewWheel(t, wheel.Config{})
		p := newPool(t, pool.Config[int, addrConn]{Wheel: w})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Wheel: w, Authorize: allowAll})
		var fired atomic.Uint64
		for i := range 1000 {
			w.AfterFunc(time.Duration(i+1)*time.Millisecond, func() { fired.Add(1) })
			w.AfterFunc(time.Duration(i*i+5_000)*time.Millisecond, func() {})
		}
		time.Sleep(1500*time.Millisecond + harness.Tick/2) // between two ticks
		synctest.Wait()
		st := getJSON[statsAnswer](t, h, "/api/stats")
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

		wanted := make(map[int][]slotAnswer)
		for _, s := range w.Slots() {
			wanted[s.Level] = append(wanted[s.Level], slotAnswer{s.Index, s.Up.Seconds(), s.Timers})
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

func TestTraffic_ShowsPeersThatDoNotReadAndProbes(t *testing.T) {
	opened, closed := make(chan *tcp.Session, 10), make(chan pool.Reason, 10)
	srv := &tcp.Server{
		MaxOutbound: 100 << 10, Overflow: tcp.DropNewest, WriteTimeout: -1,
		OnNewSessionRegister: func(s *tcp.Session) { opened <- s },
		OnSessionClosed:      func(_ *tcp.Session, r pool.Reason) { closed <- r },
	}
	dial := harness.ListenTCP(t, srv)
	traffic := func() [4]int {
		h := newHandler(t, dashboard.Config{Source: dashboard.Server(srv)}) // has no older figures
		tr := getJSON[statsAnswer](t, h, "/api/stats").Traffic
		return [...]int{tr.Outbound, tr.Dropped, tr.Slow, tr.Probes}
	}
	dial() // does not read
	s := <-opened
	for s.Post(make([]byte, 30<<10)) == nil {
		continue
	}
	require.Positive(t, s.Outbound())
	require.Equal(t, [...]int{s.Outbound(), 1, 0, 0}, traffic())
	require.True(t, s.Close(tcp.ReasonSlow))
	require.Equal(t, tcp.ReasonSlow, <-closed)
	require.Equal(t, 1, traffic()[2])
	require.NoError(t, dial().Close())
	require.Equal(t, tcp.ReasonEOF, <-closed)
	require.Equal(t, 1, traffic()[3])
}

func TestServer_ItsSessionsAreShownAndClosed(t *testing.T) {
	w := harness.NewWheel(t, wheel.Config{})
	closed := make(chan pool.Reason, 10)
	srv := &tcp.Server{
		Wheel: w, MaxSessionsPerIP: 2, OnMessage: harness.EchoLine, IdleTimeout: time.Hour,
		OnSessionClosed: func(_ *tcp.Session, r pool.Reason) { closed <- r },
	}
	h := newHandler(t, dashboard.Config{Source: dashboard.Server(srv), Wheel: w, Authorize: allowAll})
	require.Empty(t, getJSON[pageAnswer](t, h, "/api/sessions").Sessions, "it does not serve yet")
	require.Zero(t, getJSON[statsAnswer](t, h, "/api/stats").Sessions.Registered)
	errorText(t, request(h, http.MethodDelete, closePath("1", time.Now())), http.StatusNotFound)

	dial := harness.ListenTCP(t, srv)
	first, second := dial(), dial()
	for _, conn := range []net.Conn{first, second} {
		harness.Write(t, conn, "hello\n")
		harness.Read(t, conn, "hello\n")
	}
	harness.WaitClosed(t, dial()) // the third from one address
	var st statsAnswer
	require.Eventually(t, func() bool {
		st = getJSON[statsAnswer](t, h, "/api/stats")
		return st.Sessions.Refused.PerIP == 1 && st.Traffic.FramesIn == 2 // counted after the replies
	}, harness.Patience, 10*time.Millisecond)
	require.Equal(t, 2, st.Sessions.Open)
	require.Equal(t, 12, st.Traffic.BytesIn)
	require.Equal(t, 12, st.Traffic.BytesOut)
	require.Contains(t, []int{2, 3}, st.Wheel.Pending) // the server may have one of its own

	page := getJSON[pageAnswer](t, h, "/api/sessions?sort=id")
	require.Equal(t, 2, page.Total)
	addresses := []string{page.Sessions[0].Address, page.Sessions[1].Address}
	require.ElementsMatch(t, []string{first.LocalAddr().String(), second.LocalAddr().String()}, addresses)
	require.InDelta(t, 3600, *page.Sessions[0].Remaining+page.Sessions[0].Idle, 600)

	one := page.Sessions[0]
	answer := request(h, http.MethodDelete, one.path()+"&reason=Rude")
	require.Equal(t, http.StatusOK, answer.Code)
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"reason":"Rude"}`, one.ID), answer.Body.String())
	require.Equal(t, pool.Reason("Rude"), harness.Next(t, closed))
	errorText(t, request(h, http.MethodDelete, one.path()), http.StatusNotFound)
	other, last := page.Sessions[1].ID, page.Sessions[1].path()
	for _, alias := range []string{"0" + other, "+" + other, other + "0", "x", "", "-1", "99999999999999999999"} {
		errorText(t, request(h, http.MethodDelete, fmt.Sprintf("/api/sessions/x%x?generation=%s", alias, page.Sessions[1].Generation)), http.StatusNotFound)
	}
	require.Equal(t, http.StatusOK, request(h, http.MethodDelete, last).Code)
	require.Equal(t, pool.Reason("Closed by operator"), harness.Next(t, closed))
}

func TestUDP_ItsSessionsAreShownAndClosed(t *testing.T) {
	closed := make(chan pool.Reason, 1)
	srv := &udp.Server{
		OnMessage:       func(s *udp.Session, p []byte) { _ = s.Send(p) },
		OnSessionClosed: func(_ *udp.Session, r pool.Reason) { closed <- r },
	}
	h := newHandler(t, dashboard.Config{Source: dashboard.UDP(srv), Authorize: allowAll})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(conn.(*net.UDPConn)) }() // ends with Shutdown, waited for below
	peer, err := net.Dial("udp", conn.LocalAddr().String())
	require.NoError(t, err)
	defer peer.Close()
	require.NoError(t, peer.SetDeadline(time.Now().Add(harness.Patience)))
	_, err = peer.Write([]byte("hello"))
	require.NoError(t, err)
	_, err = peer.Read(make([]byte, 5))
	require.NoError(t, err)

	st := getJSON[statsAnswer](t, h, "/api/stats")
	require.Equal(t, 1, st.Sessions.Open)
	require.Nil(t, st.Traffic)
	page := getJSON[pageAnswer](t, h, "/api/sessions")
	require.Len(t, page.Sessions, 1)
	require.Equal(t, peer.LocalAddr().String(), page.Sessions[0].Address)
	id := page.Sessions[0].ID
	require.Equal(t, peer.LocalAddr().(*net.UDPAddr).AddrPort(), netip.MustParseAddrPort(id))
	for _, other := range []string{"127.0.0.1:1", "127.0.0.1", "x"} {
		errorText(t, request(h, http.MethodDelete, fmt.Sprintf("/api/sessions/x%x?generation=%s", other, page.Sessions[0].Generation)), http.StatusNotFound)
	}
	require.Equal(t, http.StatusOK, request(h, http.MethodDelete, page.Sessions[0].path()+"&reason=Rude").Code)
	require.Equal(t, pool.Reason("Rude"), harness.Next(t, closed))
	require.NoError(t, srv.Shutdown(t.Context()))
	require.ErrorIs(t, harness.Next(t, served), udp.ErrServerClosed)
}

func TestSessions_HaveTheirLabels(t *testing.T) {
	srv := &tcp.Server{OnMessage: harness.EchoLine, Label: func(s *tcp.Session) string {
		if s.ID() == 1 {
			panic("no label")
		}
		return "<alice> " + strings.Repeat("x", 1000)
	}}
	h := newHandler(t, dashboard.Config{Source: dashboard.Server(srv)})
	dial := harness.ListenTCP(t, srv)
	for range 2 {
		conn := dial()
		harness.Write(t, conn, "hello\n")
		harness.Read(t, conn, "hello\n")
	}
	type labelled struct{ ID, Label string }
	page := getJSON[struct{ Sessions []labelled }](t, h, "/api/sessions?sort=id")
	require.Equal(t, []labelled{{ID: "1"}, {ID: "2", Label: "<alice> " + strings.Repeat("x", 248)}}, page.Sessions)
}

func TestConfig_ErrorsOfADashboardNameTheField(t *testing.T) {
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
		dashboard.Server(nil), dashboard.UDP(nil), dashboard.Pool[int, addrConn](nil, nil, nil),
	} {
		_, err := dashboard.New(dashboard.Config{Source: nothing})
		require.ErrorContains(t, err, "dashboard: Config.Source")
	}
}

func TestStats_TakeTenSnapshotsAnIntervalHoweverManyPoll(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		h := newHandler(t, dashboard.Config{Source: dashboard.Server(new(tcp.Server))})
		taken := make(map[string]bool)
		for range 1000 {
			taken[request(h, http.MethodGet, "/api/stats").Body.String()] = true
			time.Sleep(time.Millisecond)
		}
		require.Len(t, taken, 10)
		for body := range taken {
			require.True(t, strings.HasPrefix(body, `{"time":"2000-01-01T00:00:0`), body)
		}
	})
}
