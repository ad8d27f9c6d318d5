package timers

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// bareSession is as large as a session of this project, so that the memory that
// is touched is laid out alike.
type bareSession struct {
	active atomic.Int64
	_      [unsafe.Sizeof(wheelSession{}) - 8]byte
}

// bareSessions is the floor: it notes the time of the activity, and nobody ever
// looks at it.
type bareSessions struct {
	start time.Time
	h     handles[bareSession]
}

func newBare(c Config) *bareSessions {
	return &bareSessions{start: time.Now(), h: newHandles[bareSession](c)}
}

// Register writes to the session, as every other implementation does. Otherwise
// its memory would be untouched pages, and the first Touches would be page
// faults.
func (s *bareSessions) Register(id int64, _ time.Duration) {
	b := new(bareSession)
	b.active.Store(int64(time.Since(s.start)))
	s.h.keep(id, b)
}

func (s *bareSessions) RegisterClose(int64) {}
func (s *bareSessions) Stop()               {}

const bareWhy = "a baseline of Touch alone"

type bareStore struct{ *bareSessions }

func bareStoreImpl() Impl {
	return Impl{
		Name: "clock+store",
		How:  "the floor: one read of the monotonic clock and one atomic store to memory of the same size and layout",
		New:  func(c Config) (Sessions, error) { return bareStore{newBare(c)}, nil },
		Not:  onlyTouch(bareWhy),
	}
}

func (s bareStore) Touch(id int64) { s.h[id].active.Store(int64(time.Since(s.start))) }

type bareCAS struct{ *bareSessions }

func bareCASImpl() Impl {
	return Impl{
		Name: "clock+CAS",
		How:  "the floor: one read of the monotonic clock, a load and one compare-and-swap to memory of the same size and layout",
		New:  func(c Config) (Sessions, error) { return bareCAS{newBare(c)}, nil },
		Not:  onlyTouch(bareWhy),
	}
}

func (s bareCAS) Touch(id int64) {
	a := &s.h[id].active
	for {
		now, old := int64(time.Since(s.start)), a.Load()
		if a.CompareAndSwap(old, now) {
			return
		}
	}
}
