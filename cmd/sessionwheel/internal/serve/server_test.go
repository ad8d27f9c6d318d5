package serve

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/internal/pipes"
)

func TestServer_ManySessionsDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		srv := NewServer(ServerConfig{Protocol: echo.Lines, MaxFrame: 100}, slog.New(slog.NewTextHandler(&out, nil)))
		ln := pipes.New()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ln) }()
		for range 150 {
			defer ln.Dial().Close()
		}
		synctest.Wait()
		require.Equal(t, 100, strings.Count(out.String(), "session opened"))
		time.Sleep(time.Second)
		defer ln.Dial().Close()
		synctest.Wait()
		require.Regexp(t, `msg="session opened" session=151 remote=pipe open=151 skipped=50\n$`, out.String())
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Equal(t, 100, strings.Count(out.String(), "session closed"))
		<-served
	})
}
