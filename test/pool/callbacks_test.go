package pool_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
	"github.com/sessionwheel/sessionwheel/wheel"
)

func TestOnSessionClosed_OfASessionClosedInsideOnNewSessionRegisterFollowsIt(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var calls callLog
		p := newPool(t, testConfig{
			OnNewSessionRegister: func(s *testSession) {
				calls.add("new %d", s.ID())
				calls.add("won %v", s.Close("Refused"))
				calls.add("ended %v", hasEnded(s))
			},
			OnSessionClosed: func(s *testSession, r pool.Reason) { calls.add("closed %d %s", s.ID(), r) },
		})
		s := mustRegister(t, p, 1)
		require.Equal(t, []string{"new 1", "won true", "ended false", "closed 1 Refused"}, calls.events)
		require.True(t, hasEnded(s))
		require.EqualValues(t, 1, s.Conn().closes.Load())
		require.Zero(t, p.Len())
	})
}

func TestOnSessionClosed_OfASessionClosedDuringOnNewSessionRegisterFollowsIt(t *testing.T) {
	for _, cause := range closeCauses {
		t.Run(string(cause.reason), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				var calls callLog
				var p *testPool
				conn := new(testConn)
				p = newPool(t, testConfig{
					IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
					OnNewSessionRegister: func(s *testSession) {
						if s.Conn() != conn {
							return
						}
						go cause.end(p, s)
						time.Sleep(2 * poolLife)
						calls.add("conn closed %d", conn.closes.Load())
						calls.add("reason %s", s.Reason())
					},
					OnSessionClosed: func(s *testSession, r pool.Reason) {
						if s.Conn() == conn {
							calls.add("closed %s", r)
						}
					},
				})
				s, err := p.Register(1, conn)
				require.NoError(t, err)
				require.Equal(t, []string{
					"conn closed 1", "reason " + string(cause.reason), "closed " + string(cause.reason),
				}, calls.events)
				require.True(t, hasEnded(s))
			})
		})
	}
}

func TestRegister_ThatIsRefusedCallsNothing(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		var calls callLog
		p := newPool(t, testConfig{
			MaxSessions:          1,
			OnNewSessionRegister: func(s *testSession) { calls.add("new %d", s.ID()) },
			OnSessionClosed:      func(s *testSession, _ pool.Reason) { calls.add("closed %d", s.ID()) },
		})
		mustRegister(t, p, 1)
		conn := new(testConn)
		refuse := func(id int, conn *testConn, want error) {
			t.Helper()
			s, err := p.Register(id, conn)
			require.ErrorIs(t, err, want)
			require.Nil(t, s)
		}
		refuse(1, conn, pool.ErrDuplicateID)
		refuse(2, conn, pool.ErrFull)
		refuse(2, nil, pool.ErrNilConn)
		require.Equal(t, 1, p.Len())
		require.NoError(t, p.Shutdown(t.Context()))
		refuse(3, conn, pool.ErrPoolClosed)
		require.Zero(t, conn.closes.Load(), "it is still the caller's")
		require.Equal(t, []string{"new 1", "closed 1"}, calls.events)
		require.Zero(t, p.Len())
	})
}

// callEveryMethod calls everything that a callback may call.
func callEveryMethod(p *testPool, w *wheel.Wheel, s *testSession) {
	_, _ = s.ID(), s.Conn()
	s.Touch()
	s.SetIdleTimeout(time.Minute)
	s.Hold()()
	s.Pin()
	s.Unpin()
	_, _ = s.RegisteredAt(), s.LastActive()
	_, _ = s.Reason(), s.Done()
	p.Get(s.ID())
	p.Len()
	p.Stats()
	for _, other := range p.All() {
		other.Touch()
	}
	if other, err := p.Register(1000, new(testConn)); err == nil {
		other.Close("Other")
	}
	_, _ = p.Register(2, new(testConn)) // another takes over
	p.CloseSession(2, "Other")
	w.AfterFunc(time.Second, func() {}).Stop()
	_, _ = w.Len(), w.Stats()
	_, _ = w.LastStall()
	w.Time(w.Elapsed())
}

func TestCallbacks_MayCallEveryMethod(t *testing.T) {
	for _, place := range []string{"OnNewSessionRegister", "conn.Close", "OnSessionClosed", "OnPanic"} {
		for _, cause := range closeCauses {
			t.Run(fmt.Sprintf("%s/%s", place, cause.reason), func(t *testing.T) {
				harness.Bubble(t, func(t *testing.T) {
					w := harness.NewWheel(t, wheel.Config{})
					var p *testPool
					var s *testSession
					called := 0
					at := func(here string) {
						if here == place {
							callEveryMethod(p, w, s)
							s.Close("Again")
							p.CloseSession(1, "Again")
							called++
						}
						if here == place && place != "OnNewSessionRegister" {
							w.Close()
						}
					}
					conn := &testConn{onClose: func() {
						at("conn.Close")
						if place == "OnPanic" {
							panic("in conn.Close")
						}
					}}
					p = newPool(t, testConfig{
						IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace, Wheel: w,
						OnNewSessionRegister: func(n *testSession) {
							if n.Conn() == conn {
								s = n
								at("OnNewSessionRegister")
							}
						},
						OnSessionClosed: func(s *testSession, _ pool.Reason) {
							if s.Conn() == conn {
								at("OnSessionClosed")
							}
						},
						OnPanic: func(any, []byte) { at("OnPanic") },
					})
					mustRegister(t, p, 2)
					_, err := p.Register(1, conn)
					require.NoError(t, err)
					cause.end(p, s)
					synctest.Wait()
					require.True(t, hasEnded(s))
					require.Equal(t, 1, called)
				})
			})
		}
	}
}

func TestClose_ThatBlocksDelaysNoOther(t *testing.T) {
	const blocked, others = 50, 50
	for _, place := range []string{"conn.Close", "OnSessionClosed"} {
		for _, cause := range closeCauses {
			t.Run(fmt.Sprintf("%s/%s", place, cause.reason), func(t *testing.T) {
				harness.Bubble(t, func(t *testing.T) {
					gate := make(chan struct{})
					start := time.Now()
					var mu sync.Mutex
					ended := make(map[int]time.Duration)
					p := newPool(t, testConfig{
						IdleTimeout: poolIdle, MaxLifetime: poolLife, OnDuplicate: pool.Replace,
						OnSessionClosed: func(s *testSession, _ pool.Reason) {
							if s.Conn().onClose != nil && place == "OnSessionClosed" {
								<-gate
							}
							mu.Lock()
							defer mu.Unlock()
							ended[s.ID()] = time.Since(start)
						},
					})
					var victims []*testSession
					for id := range blocked {
						s, err := p.Register(id, &testConn{onClose: func() {
							if place == "conn.Close" {
								<-gate
							}
						}})
						require.NoError(t, err)
						victims = append(victims, s)
					}
					for id := range others {
						mustRegister(t, p, 100+id)
					}
					for _, s := range victims {
						go cause.end(p, s)
					}
					time.Sleep(2 * poolLife)
					mu.Lock()
					for id := range others {
						at, ok := ended[100+id]
						require.True(t, ok)
						if cause.reason != pool.Shutdown {
							require.LessOrEqual(t, at, poolIdle+harness.Tick)
							require.GreaterOrEqual(t, at, poolIdle)
						}
					}
					mu.Unlock()
					for _, s := range victims {
						require.False(t, hasEnded(s))
						require.Equal(t, cause.reason, s.Reason())
					}
					if cause.reason != pool.Shutdown {
						s := mustRegister(t, p, 1000)
						require.True(t, s.Touch())
						time.Sleep(poolIdle + harness.Tick)
						require.Equal(t, pool.Timeout, s.Reason())
						require.True(t, mustRegister(t, p, 1001).Close("Bye"))
					}
					close(gate)
					synctest.Wait()
					for _, s := range victims {
						require.True(t, hasEnded(s))
					}
				})
			})
		}
	}
}
