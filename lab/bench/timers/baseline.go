package timers

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// baselineSession has the size of a session of this project, so that a touch
// finds it in memory of the same layout.
type baselineSession struct {
	active atomic.Int64
	_      [unsafe.Sizeof(poolSession{}) - 8]byte
}

// baselineSessions stores the time of each activity and never reads it. It is
// the least that a touch can cost.
type baselineSessions struct {
	start time.Time
	h     handles[baselineSession]
}

func newBaseline(c Config) *baselineSessions {
	return &baselineSessions{start: time.Now(), h: newHandles[baselineSession](c)}
}

// Register writes to the session, as every other implementation does. Otherwise
// the first touch of each page would be a page fault.
func (s *baselineSessions) Register(id int64, _ time.Duration) {
	b := new(baselineSession)
	b.active.Store(int64(time.Since(s.start)))
	s.h.keep(id, b)
}

func (s *baselineSessions) RegisterClose(int64) {}
func (s *baselineSessions) Stop()               {}

const baselineUnsupported = "a baseline of Touch alone"

type baselineStore struct{ *baselineSessions }

func baselineStoreImpl() Impl {
	return Impl{
		Name:        "clock+store",
		How:         "the baseline: one read of the monotonic clock and one atomic store to memory of the same size and layout",
		New:         func(c Config) (Sessions, error) { return baselineStore{newBaseline(c)}, nil },
		Unsupported: onlyTouch(baselineUnsupported),
	}
}

func (s baselineStore) Touch(id int64) { s.h[id].active.Store(int64(time.Since(s.start))) }

type baselineCAS struct{ *baselineSessions }

func baselineCASImpl() Impl {
	return Impl{
		Name:        "clock+CAS",
		How:         "the baseline: one read of the monotonic clock, a load and one compare-and-swap to memory of the same size and layout",
		New:         func(c Config) (Sessions, error) { return baselineCAS{newBaseline(c)}, nil },
		Unsupported: onlyTouch(baselineUnsupported),
	}
}

func (s baselineCAS) Touch(id int64) {
	a := &s.h[id].active
	for {
		now, old := int64(time.Since(s.start)), a.Load()
		if a.CompareAndSwap(old, now) {
			return
		}
	}
}
