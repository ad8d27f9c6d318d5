package dashboard_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/udp"
)

// closedSession is what api/closed says of a session.
type closedSession struct {
	ID      string   `json:"id"`
	Address string   `json:"address"`
	Reason  string   `json:"reason"`
	Ago     float64  `json:"ago_seconds"`
	Late    *float64 `json:"late_seconds"`
}

func getClosed(t *testing.T, h http.Handler) []closedSession {
	t.Helper()
	return getJSON[struct{ Sessions []closedSession }](t, h, "/api/closed").Sessions
}

func TestClosed_TellsWhoClosedWhyWhenAndHowLate(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[int, addrConn]{IdleTimeout: 10 * time.Second, MaxLifetime: 30 * time.Second})
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, func(id int) string { return fmt.Sprint("#", id) }, nil)})
		require.JSONEq(t, `{"sessions":[]}`, request(h, http.MethodGet, "/api/closed").Body.String())

		for id := range 3 {
			s := register(t, p, id, fmt.Sprint("10.0.0.1:", id))
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
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[[2]int, addrConn]{})
		id := func([2]int) string { return strings.Repeat("é", 1000) }
		h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, id, nil)})
		const hostile = "</script>\x00\xff"
		register(t, p, [2]int{}, hostile).Close(pool.Reason(hostile + strings.Repeat("x", 1000)))
		got := getClosed(t, h)[0]
		require.Equal(t, strings.Repeat("é", 512), got.ID)
		require.Equal(t, "</script>\x00\ufffd", got.Address)
		require.Equal(t, "</script>\x00\ufffd"+strings.Repeat("x", 245), got.Reason)
	})
}

func TestClosed_ShowsTheSessionsOfServersToo(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		srv := new(tcp.Server)
		h := newHandler(t, dashboard.Config{Source: dashboard.Server(srv)})
		require.Empty(t, getClosed(t, h), "it does not serve yet")
		conn := harness.ListenTCP(t, srv)()
		require.NoError(t, conn.Close())
		harness.Until(t, func() bool { return len(getClosed(t, h)) == 1 })
		c := getClosed(t, h)[0]
		require.Equal(t, []string{"1", conn.LocalAddr().String(), "EOF"}, []string{c.ID, c.Address, c.Reason})
	})
	t.Run("udp", func(t *testing.T) {
		srv := &udp.Server{IdleTimeout: 50 * time.Millisecond}
		h := newHandler(t, dashboard.Config{Source: dashboard.UDP(srv)})
		require.Empty(t, getClosed(t, h), "it does not serve yet")
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(pc) }() // ends with Close
		defer func() {
			require.NoError(t, srv.Close())
			require.ErrorIs(t, harness.Next(t, served), udp.ErrServerClosed)
		}()
		conn, err := net.Dial("udp", pc.LocalAddr().String())
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("hello"))
		require.NoError(t, err)
		harness.Until(t, func() bool { return len(getClosed(t, h)) == 1 })
		c, addr := getClosed(t, h)[0], conn.LocalAddr().String()
		require.Equal(t, []string{addr, addr, "Timeout"}, []string{c.ID, c.Address, c.Reason})
	})
}
