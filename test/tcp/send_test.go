package tcp_test

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestSend_FromManyGoroutinesDoesNotInterleave(t *testing.T) {
	const senders, each = 8, 100
	srv := &tcp.Server{}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	s := harness.Next(t, e.opened)
	var sends sync.WaitGroup
	for i := range senders {
		sends.Go(func() {
			for j := range each {
				frame, err := tcp.AppendFrame(nil, bytes.Repeat([]byte{byte('a' + i)}, j*300))
				if err == nil {
					err = s.Send(frame)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // the socket fills, so that writes are cut
	var next [senders]int
	frames := bufio.NewScanner(c)
	frames.Buffer(nil, 1<<20)
	frames.Split(tcp.ScanFrames)
	empty := 0
	for total := 0; total < senders*each && frames.Scan(); total++ {
		body := frames.Bytes()
		if len(body) == 0 {
			empty++
			continue
		}
		i := int(body[0] - 'a')
		next[i]++
		require.Equal(t, next[i]*300, len(body), "a sender's frames keep their order")
		require.Empty(t, strings.Trim(string(body), string(body[:1])))
	}
	require.NoError(t, frames.Err())
	require.Equal(t, senders, empty)
	sends.Wait()
}

func TestSend_AfterCloseIsErrSessionClosed(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{}
		e := watch(srv)
		c := listen(t, srv)()
		s := harness.Next(t, e.opened)
		require.NoError(t, s.Send(nil))
		require.True(t, s.Close("enough"))
		require.ErrorIs(t, s.Send([]byte("x")), tcp.ErrSessionClosed)
		require.ErrorIs(t, s.Send(nil), tcp.ErrSessionClosed)
		harness.WaitClosed(t, c)
		require.Equal(t, pool.Reason("enough"), harness.Next(t, e.closed))
		require.Empty(t, e.errors)
	})
}
