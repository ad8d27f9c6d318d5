package faults

import (
	"math"
	"sync/atomic"
	"time"
)

// book notes when each session was due and when it was closed, on the monotonic
// clock. All methods may be called from any goroutine. It takes no lock, which
// would hold up implementations with many goroutines and not those with one.
type book struct {
	start    time.Time
	sessions []entry // by ID

	armed, fired, early, twice atomic.Int64
	earliest                   atomic.Int64 // the largest earliness
	latest                     atomic.Int64 // math.MinInt64 until something fires
	lastDue                    atomic.Int64
}

// entry is a session. Its due is written before the session is registered.
type entry struct {
	due   time.Duration // since the start of the book
	fired atomic.Bool
}

func newBook(n int) *book {
	b := &book{start: time.Now(), sessions: make([]entry, n)}
	b.latest.Store(math.MinInt64)
	return b
}

// arm notes that the session is registered now and due in d.
func (b *book) arm(id int64, d time.Duration) {
	due := time.Since(b.start) + d
	b.sessions[id].due = due
	raise(&b.lastDue, int64(due))
	b.armed.Add(1)
}

// fire notes that the session was closed now.
func (b *book) fire(id int64) {
	late := time.Since(b.start) - b.sessions[id].due
	if b.sessions[id].fired.Swap(true) {
		b.twice.Add(1)
		return
	}
	raise(&b.latest, int64(late))
	if late < 0 {
		b.early.Add(1)
		raise(&b.earliest, int64(-late))
	}
	b.fired.Add(1)
}

func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// wait returns when all have fired, or when the last has been due for as long
// as given.
func (b *book) wait(patience time.Duration) {
	for b.fired.Load() < b.armed.Load() && time.Since(b.start) <= time.Duration(b.lastDue.Load())+patience {
		time.Sleep(5 * time.Millisecond)
	}
}

func (b *book) figures() Figures {
	f := Figures{
		armed: float64(b.armed.Load()), lost: float64(b.armed.Load() - b.fired.Load()), twice: float64(b.twice.Load()),
		early: float64(b.early.Load()), earliest: millis(time.Duration(b.earliest.Load())),
	}
	if d := b.latest.Load(); d != math.MinInt64 {
		f[latest] = millis(time.Duration(d))
	}
	return f
}
