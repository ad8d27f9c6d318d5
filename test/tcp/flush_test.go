package tcp_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// arrival is what one Read has returned, and when.
type arrival struct {
	data string
	at   time.Duration
}

// flushed serves a pipe in a bubble and returns its session and a function that returns what has
// arrived since the last call.
func flushed(t *testing.T, srv *tcp.Server) (s *tcp.Session, c net.Conn, arrived func() []arrival) {
	t.Helper()
	e := watch(srv)
	c = harness.ListenPipes(t, srv)()
	start := time.Now()
	all := make(chan arrival, 1000)
	go func() { // ends with the connection
		buf := make([]byte, 1<<20)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			all <- arrival{string(buf[:n]), time.Since(start)}
		}
	}()
	return harness.Next(t, e.opened), c, func() (got []arrival) {
		synctest.Wait()
		for len(all) > 0 {
			got = append(got, <-all)
		}
		return got
	}
}

func TestFlushInterval_GathersWhatFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, arrived := flushed(t, &tcp.Server{FlushInterval: time.Second, OnMessage: postEcho})
		for _, p := range []string{"a", "b", "c"} {
			require.NoError(t, s.Post([]byte(p)))
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, []arrival{{"a", 0}}, arrived(), "nothing was posted before")
		require.Equal(t, 2, s.Outbound())
		time.Sleep(time.Second)
		require.Equal(t, []arrival{{"bc", time.Second}}, arrived())
		require.Zero(t, s.Outbound())

		require.NoError(t, s.Post([]byte("d"))) // within a second of the last write
		harness.Write(t, c, "reply\n")
		require.Equal(t, []arrival{{"dreply\n", 1300 * time.Millisecond}}, arrived(), "a callback's replies take it with them")
		time.Sleep(time.Minute)
		require.Empty(t, arrived())

		require.NoError(t, s.Post([]byte("e")))
		require.Len(t, arrived(), 1, "after a pause")
		require.NoError(t, s.Post([]byte("f")))
		require.NoError(t, s.Send([]byte("g")))
		require.Len(t, arrived(), 1, "a Send takes with it what was gathered")

		require.NoError(t, s.Post([]byte("h")))
		s.Finish("done")
		require.Equal(t, "h", arrived()[0].data, "and so does the end of the session")
	})
}

func TestFlushInterval_OnASocket(t *testing.T) {
	srv := &tcp.Server{FlushInterval: time.Hour}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	harness.Until(t, func() bool { _, ok := srv.Session(s.ID()); return ok }) // it has been touched for its opening
	before := s.LastActive()
	require.NoError(t, s.Post([]byte("a")))
	harness.Read(t, c, "a")
	harness.Until(t, func() bool { return s.LastActive().After(before) }) // it is written, and counted
	require.NoError(t, s.Post([]byte("b")))
	require.Equal(t, 1, s.Outbound())
	require.NoError(t, s.Send(nil))
	harness.Read(t, c, "b")
}

func TestFlushInterval_WritesAtOnceWhatIsMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, arrived := flushed(t, &tcp.Server{FlushInterval: time.Hour})
		part := strings.Repeat("x", gatherMost/4)
		require.NoError(t, s.Post([]byte(part)))
		require.Len(t, arrived(), 1)
		for range 5 {
			require.NoError(t, s.Post([]byte(part)))
		}
		got := ""
		for _, a := range arrived() {
			require.Zero(t, a.at)
			got += a.data
		}
		require.GreaterOrEqual(t, len(got), gatherMost)
		time.Sleep(time.Hour)
		for _, a := range arrived() {
			got += a.data
		}
		require.Len(t, got, 5*len(part))
	})
}

func TestFlushInterval_AppliesToAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, arrived := flushed(t, &tcp.Server{FlushInterval: time.Second})
		var g tcp.Group
		require.True(t, g.Add(s))
		message := strings.Repeat("m", 1000)
		require.Equal(t, 1, g.Post([]byte(message)))
		require.Len(t, arrived(), 1)
		for range 3 {
			require.Equal(t, 1, g.Post([]byte(message)))
		}
		time.Sleep(time.Second)
		require.Equal(t, []arrival{{strings.Repeat(message, 3), time.Second}}, arrived())
	})
}

func TestFlushInterval_KeepsNoSessionOpenAndLosesNothing(t *testing.T) {
	for _, activity := range []tcp.Activity{tcp.ReceivedOrSent, tcp.Sent, tcp.Received} {
		synctest.Test(t, func(t *testing.T) {
			const idle = 2 * time.Second
			srv := &tcp.Server{FlushInterval: 2 * idle, IdleTimeout: idle, Activity: activity}
			e := watch(srv)
			c := harness.ListenPipes(t, srv)()
			start := time.Now()
			s := harness.Next(t, e.opened)
			require.NoError(t, s.Post([]byte("a")))
			harness.Read(t, c, "a")
			time.Sleep(time.Second)
			require.NoError(t, s.Post([]byte("b")))
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, "b", string(got))
			require.Equal(t, pool.Timeout, harness.Next(t, e.closed))
			require.InDelta(t, idle, time.Since(start), float64(100*time.Millisecond))
		})
	}
}
