package pool_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestClose_TheFirstOneFixesTheReason(t *testing.T) {
	for _, cause := range closeCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				var calls callLog
				conn := new(testConn)
				p := newPool(t, testConfig{
					IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
					OnSessionClosed: func(s *testSession, r pool.Reason) {
						if s.Conn() == conn {
							calls.add("closed %s", r)
						}
					},
				})
				s, err := p.Register(1, conn)
				require.NoError(t, err)
				require.Empty(t, s.Reason())
				cause.end(p, s)
				synctest.Wait()
				require.Equal(t, cause.reason, s.Reason())
				require.False(t, s.Close("Late"))
				require.False(t, s.Touch())
				time.Sleep(2 * poolLife)
				require.Equal(t, cause.reason, s.Reason())
				require.EqualValues(t, 1, conn.closes.Load())
				require.Equal(t, []string{"closed " + string(cause.reason)}, calls.events)
			})
		})
	}
}

func TestClose_KeepsItsReasonFromTheReadErrorThatItCauses(t *testing.T) {
	for _, cause := range closeCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				told := make(chan pool.Reason, 1)
				p := newPool(t, testConfig{
					IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
					OnSessionClosed: func(s *testSession, r pool.Reason) {
						if s.Conn().onClose != nil {
							told <- r
						}
					},
				})
				ours, theirs := net.Pipe()
				defer theirs.Close()
				read := make(chan struct{})
				// The close continues only when the reader has its error.
				conn := &testConn{onClose: func() { _ = ours.Close(); <-read }}
				s, err := p.Register(1, conn)
				require.NoError(t, err)
				go func() {
					defer close(read)
					_, err := ours.Read(make([]byte, 1))
					s.Close(pool.Reason(err.Error()))
				}()
				cause.end(p, s)
				require.Equal(t, cause.reason, <-told)
				require.Equal(t, cause.reason, s.Reason())
				require.Equal(t, uint64(1), p.Stats().ByReason[cause.reason])
			})
		})
	}
}

func TestClose_GoesInOrderWhateverTheReason(t *testing.T) {
	for _, cause := range closeCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				w := harness.NewWheel(t, wheel.Config{})
				var s *testSession
				var p *testPool
				var events []string
				look := func(event string) {
					time.Sleep(time.Millisecond) // until everything else is blocked
					got, _ := p.Get(1)
					if got == s || w.Len() != p.Len() || s.Reason() != cause.reason || s.Touch() || hasEnded(s) {
						event += " (in disorder)"
					}
					events = append(events, event)
				}
				p = newPool(t, testConfig{
					IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace, Wheel: w,
					OnSessionClosed: func(closed *testSession, _ pool.Reason) {
						if closed == s {
							look("told")
						}
					},
				})
				var err error
				s, err = p.Register(1, &testConn{onClose: func() { look("conn closed") }})
				require.NoError(t, err)
				require.Equal(t, 1, w.Len())
				cause.end(p, s)
				<-s.Done()
				require.Equal(t, []string{"conn closed", "told"}, events)
				require.True(t, hasEnded(s))
			})
		})
	}
}

func TestClose_ThatIsLateLeavesTheReplacementInThePool(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{OnDuplicate: pool.Replace})
		gate := make(chan struct{})
		old, err := p.Register(1, &testConn{onClose: func() { <-gate }})
		require.NoError(t, err)
		s := mustRegister(t, p, 1)
		require.Equal(t, pool.Replaced, old.Reason(), "the old one has its reason when Register returns")
		close(gate)
		<-old.Done()
		require.False(t, old.Close("Late"))
		got, ok := p.Get(1)
		require.True(t, ok)
		require.Same(t, s, got)
		require.Equal(t, 1, p.Len())
		require.Empty(t, s.Reason())
	})
}

func TestClose_FreesTheIDBeforeTheConnectionIsClosed(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{MaxSessions: 1})
		var second *testSession
		first, err := p.Register(1, &testConn{onClose: func() {
			second, _ = p.Register(1, new(testConn))
		}})
		require.NoError(t, err)
		require.True(t, first.Close("Bye"))
		require.NotNil(t, second)
		got, _ := p.Get(1)
		require.Same(t, second, got)
		require.Equal(t, 1, p.Len())
	})
}

func TestCloseFunc_CallsItBetweenTheDecisionAndTheConnectionsClose(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var steps []string
		p := newPool(t, testConfig{OnSessionClosed: func(*testSession, pool.Reason) { steps = append(steps, "closed") }})
		conn := &testConn{onClose: func() { steps = append(steps, "conn") }}
		s, err := p.Register(1, conn)
		require.NoError(t, err)
		require.True(t, s.CloseFunc("Bye", func() {
			require.Equal(t, pool.Reason("Bye"), s.Reason())
			require.Zero(t, p.Len())
			steps = append(steps, "func")
		}))
		require.False(t, s.CloseFunc("Again", func() { t.Error("called for a session that is closed") }))
		require.Equal(t, []string{"func", "conn", "closed"}, steps)

		s = mustRegister(t, p, 2)
		require.Equal(t, "oops", recovered(func() { s.CloseFunc("Bye", func() { panic("oops") }) }))
		require.True(t, hasEnded(s))
		require.EqualValues(t, 1, s.Conn().closes.Load())
	})
}
