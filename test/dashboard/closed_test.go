package dashboard_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/udp"
)

// closedConn is a connection that is only an address.
type closedConn string

func (closedConn) Close() error           { return nil }
func (c closedConn) RemoteAddr() net.Addr { return closedAddr(c) }

type closedAddr string

func (closedAddr) Network() string  { return "test" }
func (a closedAddr) String() string { return string(a) }

// closedSession is what api/closed says of a session.
type closedSession struct {
	ID      string   `json:"id"`
	Address string   `json:"address"`
	Reason  string   `json:"reason"`
	Ago     float64  `json:"ago_seconds"`
	Late    *float64 `json:"late_seconds"`
}

// getJSON gets a path of a dashboard's API.
func getClosed(t *testing.T, h http.Handler) []closedSession {
	t.Helper()
	return getJSON[struct{ Sessions []closedSession }](t, h, "/api/closed").Sessions
}

func newDashboard(t *testing.T, c dashboard.Config) *dashboard.Handler {
	t.Helper()
	h, err := dashboard.New(c)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

func newClosedPool[K comparable](t *testing.T, c pool.Config[K, closedConn]) *pool.Pool[K, closedConn] {
	t.Helper()
	p, err := pool.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

func TestClosed_TellsWhoClosedWhyWhenAndHowLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newClosedPool(t, pool.Config[int, closedConn]{IdleTimeout: 10 * time.Second, MaxLifetime: 30 * time.Second})
		h := newDashboard(t, dashboard.Config{Source: dashboard.Pool(p, func(id int) string { return fmt.Sprint("#", id) }, nil)})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/api/closed", nil))
		require.JSONEq(t, `{"sessions":[]}`, w.Body.String())

		for id := range 3 {
			s, err := p.Register(id, closedConn(fmt.Sprint("10.0.0.1:", id)))
			require.NoError(t, err)
			if id == 2 {
				s.SetIdleTimeout(-1)
			}
		}
		time.Sleep(time.Second)
		p.CloseSession(0, "Kicked")
		time.Sleep(39 * time.Second)
		got := getClosed(t, h)
		require.Len(t, got, 3)
		for i, want := range []closedSession{
			{ID: "#2", Address: "10.0.0.1:2", Reason: "Lifetime", Ago: 10},
			{ID: "#1", Address: "10.0.0.1:1", Reason: "Timeout", Ago: 30},
			{ID: "#0", Address: "10.0.0.1:0", Reason: "Kicked", Ago: 39},
		} {
			require.Equal(t, []string{want.ID, want.Address, want.Reason}, []string{got[i].ID, got[i].Address, got[i].Reason})
			require.InDelta(t, want.Ago, got[i].Ago, 0.02)
			if want.Reason == "Kicked" {
				require.Nil(t, got[i].Late)
			} else {
				require.InDelta(t, want.Ago-got[i].Ago, *got[i].Late, 1e-6)
			}
		}
	})
}

func TestClosed_CutsLongTextsAndEscapesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newClosedPool(t, pool.Config[[2]int, closedConn]{})
		id := func([2]int) string { return strings.Repeat("é", 1000) }
		h := newDashboard(t, dashboard.Config{Source: dashboard.Pool(p, id, nil)})
		const hostile = "</script>\x00\xff"
		s, err := p.Register([2]int{}, closedConn(hostile))
		require.NoError(t, err)
		s.Close(pool.Reason(hostile + strings.Repeat("x", 1000)))
		got := getClosed(t, h)[0]
		require.Equal(t, strings.Repeat("é", 512), got.ID)
		require.Equal(t, "</script>\x00\ufffd", got.Address)
		require.Equal(t, "</script>\x00\ufffd"+strings.Repeat("x", 245), got.Reason)
	})
}

func TestClosed_ShowsTheSessionsOfServersToo(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		srv := &tcp.Server{}
		h := newDashboard(t, dashboard.Config{Source: dashboard.Server(srv)})
		require.Empty(t, getClosed(t, h), "it does not serve yet")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }() // ends with Close
		defer func() { require.NoError(t, srv.Close()); <-served }()
		conn, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Eventually(t, func() bool { return len(getClosed(t, h)) == 1 }, time.Minute, time.Millisecond)
		require.Equal(t, []string{"1", conn.LocalAddr().String(), "EOF"},
			[]string{getClosed(t, h)[0].ID, getClosed(t, h)[0].Address, getClosed(t, h)[0].Reason})
	})
	t.Run("udp", func(t *testing.T) {
		srv := &udp.Server{IdleTimeout: 50 * time.Millisecond}
		h := newDashboard(t, dashboard.Config{Source: dashboard.UDP(srv)})
		require.Empty(t, getClosed(t, h), "it does not serve yet")
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(pc) }() // ends with Close
		defer func() { require.NoError(t, srv.Close()); <-served }()
		conn, err := net.Dial("udp", pc.LocalAddr().String())
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("hello"))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(getClosed(t, h)) == 1 }, time.Minute, time.Millisecond)
		addr := conn.LocalAddr().String()
		require.Equal(t, []string{addr, addr, "Timeout"},
			[]string{getClosed(t, h)[0].ID, getClosed(t, h)[0].Address, getClosed(t, h)[0].Reason})
	})
}
