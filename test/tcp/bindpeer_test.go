package tcp_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// busyDirectory gives no ID before its claim's context ends.
type busyDirectory struct{}

func (busyDirectory) Claim(ctx context.Context, _ string, _ []byte, _ func(uint64)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (busyDirectory) Release(string, uint64) {}

func TestBind_FailsWhenThePeerGoesWhileItWaits(t *testing.T) {
	t.Parallel() // it waits for a session to be parked
	for name, tt := range map[string]struct {
		leave func(t *testing.T, c net.Conn)
		reply bool // the peer can still read
	}{
		"it closes its side": {func(t *testing.T, c net.Conn) {
			require.NoError(t, c.(*net.TCPConn).CloseWrite())
		}, true},
		"behind what is not read yet": {func(t *testing.T, c net.Conn) {
			if runtime.GOOS != "linux" {
				t.Skip("other systems do not tell")
			}
			harness.Write(t, c, "more\n")
			require.NoError(t, c.(*net.TCPConn).CloseWrite())
		}, true},
		"it closes": {func(t *testing.T, c net.Conn) { require.NoError(t, c.Close()) }, false},
		"it resets": {func(t *testing.T, c net.Conn) {
			require.NoError(t, c.(*net.TCPConn).SetLinger(0))
			require.NoError(t, c.Close())
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bound := make(chan error, 1)
			binding := make(chan struct{}, 2)
			srv := &tcp.Server{Directory: busyDirectory{}, OnMessage: func(s *tcp.Session, line []byte) {
				if string(line) != "login" {
					return
				}
				binding <- struct{}{}
				err := s.Bind(context.Background(), "ann", nil)
				_ = s.Send([]byte("sorry\n"))
				bound <- err
			}}
			c := harness.ListenTCP(t, srv)()
			harness.Write(t, c, "login\n")
			harness.Next(t, binding)
			select {
			case err := <-bound:
				t.Fatal("it fails while its peer is there:", err)
			case <-time.After(300 * time.Millisecond):
			}
			tt.leave(t, c)
			require.ErrorIs(t, harness.Next(t, bound), tcp.ErrPeerGone)
			if tt.reply {
				harness.Read(t, c, "sorry\n")
			}
		})
	}
}

// Without a Directory Bind waits for the last callback of the session that had the ID.
func TestBind_GivesTheIDUpWhenThePeerGoesWhileItWaitsForACallback(t *testing.T) {
	working, end := make(chan struct{}), make(chan struct{})
	bound := make(chan error, 3)
	srv := &tcp.Server{OnMessage: func(s *tcp.Session, line []byte) {
		if string(line) == "work" {
			close(working)
			<-end
			return
		}
		bound <- s.Bind(context.Background(), "ann", nil)
	}}
	dial := harness.ListenTCP(t, srv)
	first, second, third := dial(), dial(), dial()
	harness.Write(t, first, "login\n")
	require.NoError(t, harness.Next(t, bound))
	harness.Write(t, first, "work\n")
	<-working
	harness.Write(t, second, "login\n")
	require.NoError(t, second.(*net.TCPConn).CloseWrite())
	require.ErrorIs(t, harness.Next(t, bound), tcp.ErrPeerGone)
	close(end)
	harness.Write(t, third, "login\n")
	require.NoError(t, harness.Next(t, bound))
}
