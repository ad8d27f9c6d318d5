package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestDirectory_IsAskedBeforeASessionIsRegisteredAndToldWhenItHasEnded(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		closing := make(chan struct{})
		p := newPool(t, testConfig{
			Directory:            d,
			OnNewSessionRegister: func(s *testSession) { require.EqualValues(t, 1, s.Token()) },
			OnSessionClosed: func(s *testSession, _ pool.Reason) {
				require.EqualValues(t, 1, s.Token())
				<-closing
			},
		})
		ctx := context.WithValue(t.Context(), harness.ContextKey{}, "the context")
		s, err := p.RegisterContext(ctx, 7, new(testConn), []byte("meta"))
		require.NoError(t, err)
		require.Equal(t, []string{"meta", "the context"}, d.Metas)
		require.EqualValues(t, 1, s.Token())
		go s.Close("Bye")
		synctest.Wait()
		require.Zero(t, d.Releases(1), "OnSessionClosed runs")
		close(closing)
		synctest.Wait()
		require.Equal(t, 1, d.Releases(1))
		require.Zero(t, s.Token())
	})
}

func TestDirectory_ARefusalRegistersNothing(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		d.Refuse = errors.New("isolated")
		p := newPool(t, testConfig{Directory: d, MaxSessions: 1})
		conn := new(testConn)
		_, err := p.Register(1, conn)
		require.Equal(t, d.Refuse, err, "as it is")
		require.Zero(t, conn.closes.Load())
		require.Zero(t, p.Len(), "its place is free")
		require.Empty(t, d.Released, "there is nothing to release")
		require.Equal(t, pool.Stats{RefusedUnclaimed: 1, ByReason: map[pool.Reason]uint64{}}, p.Stats())
		d.Refuse = nil
		mustRegister(t, p, 1)
	})
}

func TestDirectory_IsNotAskedByAFullPool(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		p := newPool(t, testConfig{Directory: d, MaxSessions: 2})
		one, two := mustRegister(t, p, 1), mustRegister(t, p, 2)
		_, err := p.Register(3, new(testConn))
		require.ErrorIs(t, err, pool.ErrFull)
		claimed, owned := d.State()
		require.Equal(t, []int{2, 2}, []int{claimed, owned})

		again := mustRegister(t, p, 1) // one that is here makes room
		require.Equal(t, pool.Replaced, one.Reason())
		require.Equal(t, 2, p.Len())
		again.Close("Bye")
		two.Close("Bye")
		synctest.Wait()
		require.Zero(t, p.Len())
		_, owned = d.State()
		require.Zero(t, owned)
		mustRegister(t, p, 4)
		mustRegister(t, p, 5)
		require.Equal(t, 2, p.Len())
	})
}

// A directory that evicts frees the place before the new session takes it.
func TestDirectory_AFullPoolReplacesWhatItEvicts(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		p := newPool(t, testConfig{Directory: d, MaxSessions: 1})
		d.Evict = func(id int, token uint64) { require.True(t, closeToken(t, p, id, token, pool.Replaced)) }
		old := mustRegister(t, p, 1)
		s := mustRegister(t, p, 1)
		require.Equal(t, pool.Replaced, old.Reason())
		require.Equal(t, 1, p.Len())
		require.EqualValues(t, 2, s.Token())
		synctest.Wait() // the first ID is released when the close is over
		require.Equal(t, 1, d.Releases(1))
		require.Zero(t, d.Releases(2))
	})
}

func TestDirectory_GetsBackWhatAPoolHasClaimedWhenItShutsDown(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		p := newPool(t, testConfig{Directory: d, MaxSessions: 10, OnSessionClosed: func(*testSession, pool.Reason) { time.Sleep(time.Second) }})
		for id := range 5 {
			mustRegister(t, p, id)
		}
		shut := make(chan error, 1)
		d.Before = func() {
			d.Before = nil
			go func() { shut <- p.Shutdown(t.Context()) }()
			time.Sleep(time.Minute)
		}
		_, err := p.Register(9, new(testConn)) // shut down while it claims
		require.ErrorIs(t, err, pool.ErrPoolClosed)
		require.NoError(t, <-shut)
		claimed, owned := d.State()
		require.Equal(t, []int{6, 0}, []int{claimed, owned})
		for token := range uint64(6) {
			require.Equal(t, 1, d.Releases(token+1))
		}
		require.Zero(t, p.Len())
		_, err = p.Register(9, new(testConn))
		require.ErrorIs(t, err, pool.ErrPoolClosed)
		claimed, _ = d.State()
		require.Equal(t, 6, claimed, "a pool that is shut down claims nothing")
	})
}

func TestDirectory_ShutdownWaitsForTheReleases(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		p := newPool(t, testConfig{Directory: d})
		for id := range 100 {
			mustRegister(t, p, id)
		}
		require.NoError(t, p.Shutdown(t.Context()))
		_, owned := d.State()
		require.Zero(t, owned)
	})
}

func closeToken(t *testing.T, p *testPool, id int, token uint64, r pool.Reason) bool {
	t.Helper()
	won, err := p.CloseToken(context.Background(), id, token, r)
	require.NoError(t, err)
	return won
}

func TestCloseToken_WaitsNoLongerThanItsContext(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		conn := new(testConn)
		p := newPool(t, testConfig{Directory: harness.NewDirectory[int](), OnSessionClosed: func(*testSession, pool.Reason) {
			time.Sleep(time.Minute)
		}})
		s, err := p.Register(1, conn)
		require.NoError(t, err)
		start := time.Now()
		for _, first := range []bool{true, false} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			won, err := p.CloseToken(ctx, 1, s.Token(), "Bye")
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, first, won)
			require.Equal(t, pool.Reason("Bye"), s.Reason(), "it is closed all the same")
		}
		require.Equal(t, 2*time.Second, time.Since(start))
		won, err := p.CloseToken(t.Context(), 1, s.Token(), "Bye")
		require.NoError(t, err)
		require.False(t, won)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestCloseToken_WaitsUntilItsSessionHasEnded(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		var ended atomic.Int32
		p := newPool(t, testConfig{Directory: d, OnSessionClosed: func(*testSession, pool.Reason) {
			time.Sleep(time.Minute)
			ended.Add(1)
		}})
		one, two := mustRegister(t, p, 1), mustRegister(t, p, 2)
		require.False(t, closeToken(t, p, 1, two.Token(), "Bye"), "the token of another")
		require.False(t, closeToken(t, p, 3, one.Token(), "Bye"), "no such ID")
		require.Empty(t, one.Reason())
		require.True(t, closeToken(t, p, 1, one.Token(), "Bye"))
		require.EqualValues(t, 1, ended.Load())
		require.Equal(t, pool.Reason("Bye"), one.Reason())

		token := two.Token()
		go two.Close("Somebody else")
		synctest.Wait()
		require.False(t, closeToken(t, p, 2, token, "Bye"))
		require.EqualValues(t, 2, ended.Load(), "it has waited all the same")
		require.Equal(t, pool.Reason("Somebody else"), two.Reason())
	})
}

// The directory evicts no session here, so the pool itself makes sure that an ID has
// one session.
func TestDirectory_ALaterClaimReplacesWhateverOnDuplicateSays(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		d := harness.NewDirectory[int]()
		release := map[uint64]chan struct{}{1: make(chan struct{}), 2: make(chan struct{}), 3: make(chan struct{})}
		p := newPool(t, testConfig{
			Directory: d, MaxSessions: 10, OnDuplicate: pool.Reject,
			OnSessionClosed: func(s *testSession, _ pool.Reason) { <-release[s.Token()] },
		})
		defer close(release[3])
		var all []*testSession
		for range 3 {
			all = append(all, mustRegister(t, p, 1))
		}
		synctest.Wait()
		require.Equal(t, []uint64{1, 2, 3}, []uint64{all[0].Token(), all[1].Token(), all[2].Token()}, "two of them end, and are known until then")
		require.Equal(t, []pool.Reason{pool.Replaced, pool.Replaced, ""}, []pool.Reason{all[0].Reason(), all[1].Reason(), all[2].Reason()})
		close(release[2]) // the later one ends first
		synctest.Wait()
		require.Equal(t, []uint64{1, 0, 3}, []uint64{all[0].Token(), all[1].Token(), all[2].Token()})
		require.Equal(t, []int{0, 1, 0}, []int{d.Releases(1), d.Releases(2), d.Releases(3)})
		close(release[1])
		synctest.Wait()
		require.Equal(t, []uint64{0, 0, 3}, []uint64{all[0].Token(), all[1].Token(), all[2].Token()})
		require.Equal(t, []int{1, 1, 0}, []int{d.Releases(1), d.Releases(2), d.Releases(3)})
		require.Equal(t, 1, p.Len())
	})
}

// badDirectory breaks the contract of a Directory.
type badDirectory struct{ activates int }

func (d badDirectory) Claim(_ context.Context, _ int, _ []byte, activate func(uint64)) error {
	for i := range d.activates {
		activate(uint64(1 + i))
	}
	return nil
}

func (badDirectory) Release(int, uint64) {}

func TestDirectory_ThatBreaksItsContractIsFoundOut(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		_, err := newPool(t, testConfig{Directory: badDirectory{0}}).Register(1, new(testConn))
		require.ErrorContains(t, err, "without calling activate")
		require.Panics(t, func() { _, _ = newPool(t, testConfig{Directory: badDirectory{2}}).Register(1, new(testConn)) })
	})
}

func TestRegisterContext_WithoutADirectoryIsRegister(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, testConfig{})
		over, cancel := context.WithCancel(t.Context())
		cancel()
		s, err := p.RegisterContext(over, 1, new(testConn), []byte("not looked at"))
		require.NoError(t, err)
		require.Zero(t, s.Token())
		require.False(t, closeToken(t, p, 1, 0, "Bye"))
		_, err = p.RegisterContext(t.Context(), 1, new(testConn), nil)
		require.ErrorIs(t, err, pool.ErrDuplicateID)
		_, err = p.RegisterContext(t.Context(), 2, nil, nil)
		require.ErrorIs(t, err, pool.ErrNilConn)
	})
}

// Many clients log in under few IDs while sessions end for every reason.
func TestDirectory_ContendedClaimsLeaveOneSessionAtATime(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		const ids, logins, goroutines = 5, 200, 8
		var live [ids]atomic.Int32
		var double atomic.Int32
		d := harness.NewDirectory[int]()
		p := newPool(t, testConfig{
			Directory: d, IdleTimeout: 20 * time.Millisecond, MaxSessions: ids,
			OnNewSessionRegister: func(s *testSession) {
				if live[s.ID()].Add(1) > 1 {
					double.Add(1)
				}
			},
			OnSessionClosed: func(s *testSession, _ pool.Reason) { live[s.ID()].Add(-1) },
		})
		d.Evict = func(id int, token uint64) { closeToken(t, p, id, token, pool.Replaced) }
		var all sync.WaitGroup
		var registered atomic.Int64
		for range goroutines {
			all.Go(func() {
				for range logins {
					id := rand.N(ids)
					if s, err := p.Register(id, new(testConn)); err == nil {
						registered.Add(1)
						if rand.N(3) == 0 {
							s.Close("Bye")
						}
					}
					time.Sleep(rand.N(30 * time.Millisecond))
				}
			})
		}
		all.Wait()
		require.NoError(t, p.Shutdown(t.Context()))
		require.Zero(t, double.Load(), "sessions that were registered while another had the ID")
		claimed, owned := d.State()
		require.Zero(t, owned)
		require.Positive(t, registered.Load())
		var released int
		for token, n := range d.Released {
			require.Equal(t, 1, n, "token %d", token)
			released++
		}
		require.LessOrEqual(t, int64(released), int64(claimed))
		require.GreaterOrEqual(t, int64(released), registered.Load())
		require.EqualValues(t, registered.Load(), p.Stats().Registered)
	})
}
