package tcp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestSharedWheel_ServesServersAndTheirOwnersTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := wheel.New(wheel.Config{})
		require.NoError(t, err)
		defer w.Close()
		var servers [2]*tcp.Server
		for i := range servers {
			servers[i] = &tcp.Server{Wheel: w, IdleTimeout: time.Duration(i+1) * time.Minute}
			e := watch(servers[i])
			harness.ListenMemory(t, servers[i])()
			harness.Next(t, e.opened)
		}
		fired := make(chan struct{}, 1)
		w.AfterFunc(time.Hour, func() { fired <- struct{}{} })
		require.Equal(t, 3, w.Len(), "one timer of each session, and the caller's")
		time.Sleep(90 * time.Second)
		require.Equal(t, 2, w.Len(), "a session has timed out")
		require.EqualValues(t, 1, servers[0].Stats().ByReason[pool.Timeout])
		for _, srv := range servers {
			require.NoError(t, srv.Shutdown(t.Context()))
		}
		require.Equal(t, 1, w.Len())
		time.Sleep(time.Hour)
		harness.Next(t, fired) // the servers have not closed it
	})
}
