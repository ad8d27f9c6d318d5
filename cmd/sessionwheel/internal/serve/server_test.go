package serve

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
)

// pipes is a listener of connections within the process.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestServer_ManySessionsDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		srv := NewServer(ServerConfig{Protocol: echo.Lines, MaxFrame: 100}, slog.New(slog.NewTextHandler(&out, nil)))
		ln := make(pipes)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ln) }()
		come := func() net.Conn {
			here, there := net.Pipe()
			ln <- there
			return here
		}
		for range 150 {
			defer come().Close()
		}
		synctest.Wait()
		require.Equal(t, 100, strings.Count(out.String(), "session opened"))
		time.Sleep(time.Second)
		defer come().Close()
		synctest.Wait()
		require.Regexp(t, `msg="session opened" session=151 remote=pipe open=151 skipped=50\n$`, out.String())
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Equal(t, 100, strings.Count(out.String(), "session closed"))
		<-served
	})
}
