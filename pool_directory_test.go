package sessionwheel_test

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
)

// poolDirectory gives every ID to whoever asks, and evicts the owner before, as a
// cluster's does.
type poolDirectory[K comparable] struct {
	evict  func(id K, token uint64) // nil: nobody is evicted
	before func()                   // called before an ID is given, if not nil
	refuse error                    // what Claim gives, if not nil
	after  func(id K, token uint64) // called when an ID was given, and is still locked, if not nil

	mu sync.Mutex
	// Guarded by mu.
	locks    map[K]*sync.Mutex
	owners   map[K]uint64
	last     uint64
	metas    []string
	claimed  int
	released map[uint64]int // how often each token was
}

func newPoolDirectory[K comparable]() *poolDirectory[K] {
	return &poolDirectory[K]{locks: make(map[K]*sync.Mutex), owners: make(map[K]uint64), released: make(map[uint64]int)}
}

type poolCtxKey struct{}

func (d *poolDirectory[K]) Claim(ctx context.Context, id K, meta []byte, activate func(uint64)) error {
	d.mu.Lock()
	if d.locks[id] == nil {
		d.locks[id] = new(sync.Mutex)
	}
	lock := d.locks[id]
	d.mu.Unlock()
	lock.Lock()
	defer lock.Unlock()

	d.mu.Lock()
	old := d.owners[id]
	d.last++
	token := d.last
	d.claimed++
	d.metas = append(d.metas, string(meta))
	if s, ok := ctx.Value(poolCtxKey{}).(string); ok {
		d.metas = append(d.metas, s)
	}
	d.mu.Unlock()
	if d.before != nil {
		d.before()
	}
	if d.refuse != nil {
		return d.refuse
	}
	if old != 0 && d.evict != nil {
		d.evict(id, old)
	}
	d.mu.Lock()
	d.owners[id] = token
	d.mu.Unlock()
	activate(token)
	if d.after != nil {
		d.after(id, token)
	}
	return nil
}

func (d *poolDirectory[K]) Release(id K, token uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released[token]++
	if d.owners[id] == token {
		delete(d.owners, id)
	}
}

// state is how many claims there were, and how many IDs are owned.
func (d *poolDirectory[K]) state() (claimed, owned int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claimed, len(d.owners)
}

func (d *poolDirectory[K]) releases(token uint64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.released[token]
}

func TestASessionIsClaimedBeforeItIsRegisteredAndReleasedWhenItHasEnded(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		closing := make(chan struct{})
		p := poolNew(t, poolConfig{
			Directory:            d,
			OnNewSessionRegister: func(s *poolSession) { require.EqualValues(t, 1, s.Token()) },
			OnSessionClosed: func(s *poolSession, _ pool.Reason) {
				require.EqualValues(t, 1, s.Token())
				<-closing
			},
		})
		ctx := context.WithValue(t.Context(), poolCtxKey{}, "the context")
		s, err := p.RegisterContext(ctx, 7, new(poolConn), []byte("meta"))
		require.NoError(t, err)
		require.Equal(t, []string{"meta", "the context"}, d.metas)
		require.EqualValues(t, 1, s.Token())
		go s.Close("Bye")
		synctest.Wait()
		require.Zero(t, d.releases(1), "OnSessionClosed runs")
		close(closing)
		synctest.Wait()
		require.Equal(t, 1, d.releases(1))
		require.Zero(t, s.Token())
	})
}

func TestWhatTheDirectoryRefusesIsNotRegistered(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		d.refuse = errors.New("isolated")
		p := poolNew(t, poolConfig{Directory: d, MaxSessions: 1})
		conn := new(poolConn)
		_, err := p.Register(1, conn)
		require.Equal(t, d.refuse, err, "as it is")
		require.Zero(t, conn.closes.Load())
		require.Zero(t, p.Len(), "its place is free")
		require.Empty(t, d.released, "there is nothing to release")
		require.Equal(t, pool.Stats{RefusedUnclaimed: 1, ByReason: map[pool.Reason]uint64{}}, p.Stats())
		d.refuse = nil
		poolRegister(t, p, 1)
	})
}

func TestAPoolThatIsFullClaimsNothingOfOthers(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		p := poolNew(t, poolConfig{Directory: d, MaxSessions: 2})
		one, two := poolRegister(t, p, 1), poolRegister(t, p, 2)
		_, err := p.Register(3, new(poolConn))
		require.ErrorIs(t, err, pool.ErrFull)
		claimed, owned := d.state()
		require.Equal(t, []int{2, 2}, []int{claimed, owned})

		again := poolRegister(t, p, 1) // one that is here makes room
		require.Equal(t, pool.Replaced, one.Reason())
		require.Equal(t, 2, p.Len())
		again.Close("Bye")
		two.Close("Bye")
		synctest.Wait()
		require.Zero(t, p.Len())
		_, owned = d.state()
		require.Zero(t, owned)
		poolRegister(t, p, 4)
		poolRegister(t, p, 5)
		require.Equal(t, 2, p.Len())
	})
}

// A directory that evicts frees the place before the new session takes it.
func TestAFullPoolReplacesWhatTheDirectoryEvicts(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		p := poolNew(t, poolConfig{Directory: d, MaxSessions: 1})
		d.evict = func(id int, token uint64) { require.True(t, p.CloseToken(id, token, pool.Replaced)) }
		old := poolRegister(t, p, 1)
		s := poolRegister(t, p, 1)
		require.Equal(t, pool.Replaced, old.Reason())
		require.Equal(t, 1, p.Len())
		require.EqualValues(t, 2, s.Token())
		require.Equal(t, 1, d.releases(1))
		require.Zero(t, d.releases(2))
	})
}

func TestAPoolThatShutsDownReleasesWhatItHasClaimed(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		p := poolNew(t, poolConfig{Directory: d, MaxSessions: 10, OnSessionClosed: func(*poolSession, pool.Reason) { time.Sleep(time.Second) }})
		for id := range 5 {
			poolRegister(t, p, id)
		}
		shut := make(chan error, 1)
		d.before = func() {
			d.before = nil
			go func() { shut <- p.Shutdown(t.Context()) }()
			time.Sleep(time.Minute)
		}
		_, err := p.Register(9, new(poolConn)) // shut down while it claims
		require.ErrorIs(t, err, pool.ErrPoolClosed)
		require.NoError(t, <-shut)
		claimed, owned := d.state()
		require.Equal(t, []int{6, 0}, []int{claimed, owned})
		for token := range uint64(6) {
			require.Equal(t, 1, d.releases(token+1))
		}
		require.Zero(t, p.Len())
		_, err = p.Register(9, new(poolConn))
		require.ErrorIs(t, err, pool.ErrPoolClosed)
		claimed, _ = d.state()
		require.Equal(t, 6, claimed, "a pool that is shut down claims nothing")
	})
}

func TestShutdownWaitsForTheReleases(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		p := poolNew(t, poolConfig{Directory: d})
		for id := range 100 {
			poolRegister(t, p, id)
		}
		require.NoError(t, p.Shutdown(t.Context()))
		_, owned := d.state()
		require.Zero(t, owned)
	})
}

func TestCloseTokenWaitsUntilItsSessionHasEnded(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		var ended atomic.Int32
		p := poolNew(t, poolConfig{Directory: d, OnSessionClosed: func(*poolSession, pool.Reason) {
			time.Sleep(time.Minute)
			ended.Add(1)
		}})
		one, two := poolRegister(t, p, 1), poolRegister(t, p, 2)
		require.False(t, p.CloseToken(1, two.Token(), "Bye"), "the token of another")
		require.False(t, p.CloseToken(3, one.Token(), "Bye"), "no such ID")
		require.Empty(t, one.Reason())
		require.True(t, p.CloseToken(1, one.Token(), "Bye"))
		require.EqualValues(t, 1, ended.Load())
		require.Equal(t, pool.Reason("Bye"), one.Reason())

		token := two.Token()
		go two.Close("Somebody else")
		synctest.Wait()
		require.False(t, p.CloseToken(2, token, "Bye"))
		require.EqualValues(t, 2, ended.Load(), "it has waited all the same")
		require.Equal(t, pool.Reason("Somebody else"), two.Reason())
	})
}

// With a directory that evicts nobody here, the pool itself sees to it that an ID
// has one session.
func TestALaterClaimReplacesWhateverOnDuplicateSays(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		d := newPoolDirectory[int]()
		release := map[uint64]chan struct{}{1: make(chan struct{}), 2: make(chan struct{}), 3: make(chan struct{})}
		p := poolNew(t, poolConfig{
			Directory: d, MaxSessions: 10, OnDuplicate: pool.Reject,
			OnSessionClosed: func(s *poolSession, _ pool.Reason) { <-release[s.Token()] },
		})
		defer close(release[3])
		var all []*poolSession
		for range 3 {
			all = append(all, poolRegister(t, p, 1))
		}
		synctest.Wait()
		require.Equal(t, []uint64{1, 2, 3}, []uint64{all[0].Token(), all[1].Token(), all[2].Token()}, "two of them end, and are known until then")
		require.Equal(t, []pool.Reason{pool.Replaced, pool.Replaced, ""}, []pool.Reason{all[0].Reason(), all[1].Reason(), all[2].Reason()})
		close(release[2]) // the later one ends first
		synctest.Wait()
		require.Equal(t, []uint64{1, 0, 3}, []uint64{all[0].Token(), all[1].Token(), all[2].Token()})
		require.Equal(t, []int{0, 1, 0}, []int{d.releases(1), d.releases(2), d.releases(3)})
		close(release[1])
		synctest.Wait()
		require.Equal(t, []uint64{0, 0, 3}, []uint64{all[0].Token(), all[1].Token(), all[2].Token()})
		require.Equal(t, []int{1, 1, 0}, []int{d.releases(1), d.releases(2), d.releases(3)})
		require.Equal(t, 1, p.Len())
	})
}

// poolBadDirectory breaks the contract.
type poolBadDirectory struct{ activates int }

func (d poolBadDirectory) Claim(_ context.Context, _ int, _ []byte, activate func(uint64)) error {
	for i := range d.activates {
		activate(uint64(1 + i))
	}
	return nil
}
func (poolBadDirectory) Release(int, uint64) {}

func TestADirectoryThatBreaksItsContractIsFoundOut(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		_, err := poolNew(t, poolConfig{Directory: poolBadDirectory{0}}).Register(1, new(poolConn))
		require.ErrorContains(t, err, "without calling activate")
		require.Panics(t, func() { _, _ = poolNew(t, poolConfig{Directory: poolBadDirectory{2}}).Register(1, new(poolConn)) })
	})
}

func TestWithoutADirectoryRegisterContextIsRegister(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		p := poolNew(t, poolConfig{})
		over, cancel := context.WithCancel(t.Context())
		cancel()
		s, err := p.RegisterContext(over, 1, new(poolConn), []byte("not looked at"))
		require.NoError(t, err)
		require.Zero(t, s.Token())
		require.False(t, p.CloseToken(1, 0, "Bye"))
		_, err = p.RegisterContext(t.Context(), 1, new(poolConn), nil)
		require.ErrorIs(t, err, pool.ErrDuplicateID)
		_, err = p.RegisterContext(t.Context(), 2, nil, nil)
		require.ErrorIs(t, err, pool.ErrNilConn)
	})
}

// TestContendedClaimsLeaveOneSessionAtATime has many log in under few IDs while
// sessions end for every reason.
func TestContendedClaimsLeaveOneSessionAtATime(t *testing.T) {
	poolBubble(t, func(t *testing.T) {
		const ids, logins, goroutines = 5, 200, 8
		var live [ids]atomic.Int32
		var double atomic.Int32
		d := newPoolDirectory[int]()
		p := poolNew(t, poolConfig{
			Directory: d, IdleTimeout: 20 * time.Millisecond, MaxSessions: ids,
			OnNewSessionRegister: func(s *poolSession) {
				if live[s.ID()].Add(1) > 1 {
					double.Add(1)
				}
			},
			OnSessionClosed: func(s *poolSession, _ pool.Reason) { live[s.ID()].Add(-1) },
		})
		d.evict = func(id int, token uint64) { p.CloseToken(id, token, pool.Replaced) }
		var all sync.WaitGroup
		var registered atomic.Int64
		for range goroutines {
			all.Go(func() {
				for range logins {
					id := rand.N(ids)
					if s, err := p.Register(id, new(poolConn)); err == nil {
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
		claimed, owned := d.state()
		require.Zero(t, owned)
		require.Positive(t, registered.Load())
		var released int
		for token, n := range d.released {
			require.Equal(t, 1, n, "token %d", token)
			released++
		}
		require.LessOrEqual(t, int64(released), int64(claimed))
		require.GreaterOrEqual(t, int64(released), registered.Load())
		require.EqualValues(t, registered.Load(), p.Stats().Registered)
	})
}
