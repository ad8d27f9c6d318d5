package faults

import (
	"math"
	"sync/atomic"
	"time"
)

// recorder records when each session was due and when it was closed, on the
// monotonic clock. All methods may be called from any goroutine. It has no lock:
// a lock would delay implementations with many goroutines more than those with
// one.
type recorder struct {
	start    time.Time
	sessions []sessionRecord // by ID

	armed, fired, early, twice atomic.Int64
	earliest                   atomic.Int64 // by how much the earliest was early
	latest                     atomic.Int64 // how late the latest was; math.MinInt64 until one has fired
	lastDue                    atomic.Int64
}

// sessionRecord is one session. due is written before the session is registered.
type sessionRecord struct {
	due   time.Duration // since recorder.start
	fired atomic.Bool
}

func newRecorder(n int) *recorder {
	r := &recorder{start: time.Now(), sessions: make([]sessionRecord, n)}
	r.latest.Store(math.MinInt64)
	return r
}

// arm records that the session is due in d from now.
func (r *recorder) arm(id int64, d time.Duration) {
	due := time.Since(r.start) + d
	r.sessions[id].due = due
	storeMax(&r.lastDue, int64(due))
	r.armed.Add(1)
}

// fire records that the session was closed now.
func (r *recorder) fire(id int64) {
	late := time.Since(r.start) - r.sessions[id].due
	if r.sessions[id].fired.Swap(true) {
		r.twice.Add(1)
		return
	}
	storeMax(&r.latest, int64(late))
	if late < 0 {
		r.early.Add(1)
		storeMax(&r.earliest, int64(-late))
	}
	r.fired.Add(1)
}

// storeMax sets a to v if v is larger.
func storeMax(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

// wait returns when all sessions have fired, or when the last has been due for
// limit.
func (r *recorder) wait(limit time.Duration) {
	for r.fired.Load() < r.armed.Load() && time.Since(r.start) <= time.Duration(r.lastDue.Load())+limit {
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *recorder) figures() Figures {
	f := Figures{
		armed: float64(r.armed.Load()), lost: float64(r.armed.Load() - r.fired.Load()), twice: float64(r.twice.Load()),
		early: float64(r.early.Load()), earliest: millis(time.Duration(r.earliest.Load())),
	}
	if d := r.latest.Load(); d != math.MinInt64 {
		f[latest] = millis(time.Duration(d))
	}
	return f
}
