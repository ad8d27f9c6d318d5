package sessionwheel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
)

func TestASessionTellsItsAddressesAndWhenItWasActive(t *testing.T) {
	srv := &tcp.Server{}
	events := tcpWatch(srv)
	before := time.Now()
	conn := tcpListen(t, srv)()
	s := tcpNext(t, events.opened)
	require.Equal(t, conn.RemoteAddr().String(), s.LocalAddr().String())
	require.Equal(t, conn.LocalAddr().String(), s.RemoteAddr().String())
	require.False(t, s.RegisteredAt().Before(before))
	require.False(t, s.LastActive().Before(s.RegisteredAt()))

	sent := time.Now()
	tcpWrite(t, conn, "hello\n")
	tcpNext(t, events.messages)
	require.Eventually(t, func() bool { return !s.LastActive().Before(sent) }, tcpPatience, time.Millisecond)
	require.True(t, s.RegisteredAt().Before(sent), "when it was registered does not change")
	require.Eventually(t, func() bool { // it is held while its message is handled
		at, ok := s.Deadline()
		return ok && at.Equal(s.LastActive().Add(5*time.Minute))
	}, tcpPatience, time.Millisecond)
}
