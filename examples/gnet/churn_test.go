//go:build unix

package main

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openFiles returns the number of open descriptors of this process.
func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/dev/fd")
	require.NoError(t, err)
	return len(all)
}

func TestChurn_LeavesNothingAndTheCountsAgree(t *testing.T) {
	const peers, each = 64, 50
	sv := launch(t, config{})
	first := dial(t, sv.addr) // opens what is opened only once
	first.echo("x")
	sv.sessions.SetIdleTimeout(100 * time.Millisecond)
	require.Empty(t, first.closed())
	before := openFiles(t)

	over := make(chan struct{})
	var kicker, wg sync.WaitGroup
	kicker.Go(func() { // ends with over
		for {
			for _, s := range sv.sessions.All() {
				if rand.N(20) == 0 {
					s.Close("Kicked")
				}
			}
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for range peers {
		wg.Go(func() {
			for range each {
				cut(t, sv.addr)
			}
		})
	}
	wg.Wait()
	close(over)
	kicker.Wait()
	eventually(t, func() bool { // the last ones may not have been accepted yet
		st := sv.sessions.Stats()
		return st.Registered == 1+peers*each && st.Closed == st.Registered
	}, func() any { return sv.sessions.Stats() })
	eventually(t, func() bool { return sv.engine.CountConnections() == 0 }, func() any { return sv.engine.CountConnections() })
	eventually(t, func() bool { return openFiles(t) == before }, func() any { return openFiles(t) - before })
	st := sv.sessions.Stats()
	require.Zero(t, st.Sessions)
	sv.wants(t, st.ByReason)
	require.NotZero(t, st.ByReason[reasonEOF])
	require.NotZero(t, st.ByReason["Kicked"])
}

// cut opens a connection and ends it in one of several ways. The server may do anything
// to it in between.
func cut(t *testing.T, addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Errorf("it does not accept: %v", err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience)) // the echo fails if it cannot be set
	f := frame("some body")
	switch rand.N(6) {
	case 0: // at once
	case 1:
		_, _ = c.Write(f[:rand.N(len(f))])
	case 2:
		_, _ = c.Write(f)
	case 3:
		_, _ = c.Write([]byte("garbage"))
		_, _ = io.Copy(io.Discard, c)
	case 4:
		if _, err := c.Write(f); err == nil {
			_, _ = io.ReadFull(c, f)
		}
	case 5: // about when it times out
		_, _ = c.Write(f)
		time.Sleep(80*time.Millisecond + rand.N(40*time.Millisecond))
	}
	if rand.N(2) == 0 {
		_ = c.(*net.TCPConn).SetLinger(0) // makes Close send a reset
	}
}
