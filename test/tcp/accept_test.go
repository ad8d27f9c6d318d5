package tcp_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/tcp/tcptest"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// failing is a listener whose Accept returns a few temporary errors before each
// connection.
type failing struct {
	*tcptest.Listener
	fails int
	at    chan time.Time // of each try
}

func (l *failing) Accept() (net.Conn, error) {
	l.at <- time.Now()
	if l.fails > 0 {
		l.fails--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestAccept_BacksOffAfterErrorsThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fails = 10
		l := &failing{Listener: tcptest.Listen(), fails: fails, at: make(chan time.Time, 100)}
		srv := &tcp.Server{}
		sessions := make(chan *tcp.Session, 100)
		srv.OnError = func(s *tcp.Session, err error) {
			require.ErrorIs(t, err, syscall.EMFILE)
			sessions <- s
			if len(sessions) == 3 {
				panic("the listener outlives it")
			}
		}
		e := watch(srv)
		harness.ServeTCP(t, srv, l)
		mine, err := l.Dial()
		require.NoError(t, err)
		harness.Write(t, mine, "hi\n")
		require.Equal(t, "hi", harness.Next(t, e.messages))
		require.NoError(t, mine.Close())
		for range fails {
			require.Nil(t, harness.Next(t, sessions))
		}
		last, want := harness.Next(t, l.at), 5*time.Millisecond
		for i := range fails {
			at := harness.Next(t, l.at)
			require.Equal(t, want, at.Sub(last), "before try %d", i+2)
			last, want = at, min(2*want, time.Second)
		}
		require.EqualValues(t, fails, srv.Traffic().AcceptErrors)
	})
}

func TestServe_ReturnsAnErrorThatDoesNotPassAndSessionsGoOn(t *testing.T) {
	srv := &tcp.Server{OnMessage: harness.EchoLine}
	e := watch(srv)
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(first) }()
	c, err := net.Dial("tcp", first.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	harness.Next(t, e.opened)
	require.NoError(t, first.Close())
	require.ErrorIs(t, harness.Next(t, served), net.ErrClosed)
	harness.ListenTCP(t, srv)() // another listener of the same server
	require.EqualValues(t, 2, harness.Next(t, e.opened).ID())
	harness.Write(t, c, "still here\n")
	harness.Read(t, c, "still here\n")
}
