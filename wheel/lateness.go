package wheel

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// LatenessBuckets is the number of bounds of a [Lateness].
const LatenessBuckets = 80

// bounds are four to an octave of seconds, so that each bucket is the native one
// of Prometheus's schema 2, and of OpenTelemetry's scale 2, with the index
// i-zerothBucket.
var bounds = func() (b [LatenessBuckets]time.Duration) {
	const perOctave, zerothBucket = 4, 55
	for i := range b {
		b[i] = time.Duration(math.Exp2(float64(i-zerothBucket)/perOctave) * float64(time.Second))
	}
	return b
}()

// LatenessBound returns the i-th bound, 2^((i-55)/4) seconds: from 73µs for i = 0 to 64s
// for i = LatenessBuckets-1. Each bound is 1.19 times the one before. LatenessBound panics
// if i is out of that range.
func LatenessBound(i int) time.Duration { return bounds[i] }

// Lateness is a histogram of how long after its deadline each callback started. If a timer
// was due already when it was armed, its lateness counts from then.
type Lateness struct {
	// Counts[i] is the number of callbacks that started at most LatenessBound(i) late
	// and later than the bound before. The last element counts those later than all
	// bounds.
	Counts [LatenessBuckets + 1]uint64

	Sum time.Duration // the sum of the lateness of all callbacks
}

// Count returns the number of callbacks that have started.
func (l Lateness) Count() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile returns the smallest bound within which a fraction q of the callbacks, from 0
// to 1, started. It returns the last bound if they started later than that, and 0 if no
// callback has started.
func (l Lateness) Quantile(q float64) time.Duration {
	count := l.Count()
	if count == 0 {
		return 0
	}
	need := uint64(math.Ceil(q * float64(count)))
	var n uint64
	for i := range bounds {
		if n += l.Counts[i]; n > 0 && n >= need {
			return bounds[i]
		}
	}
	return bounds[LatenessBuckets-1]
}

// Sub returns what was added to l since an earlier reading of the same wheel.
func (l Lateness) Sub(earlier Lateness) Lateness {
	for i := range l.Counts {
		l.Counts[i] -= earlier.Counts[i]
	}
	l.Sum -= earlier.Sum
	return l
}

// String returns a summary in one line.
func (l Lateness) String() string {
	return fmt.Sprintf("%d callbacks, p50 %v, p99 %v, max %v late", l.Count(), l.Quantile(0.5), l.Quantile(0.99), l.Quantile(1))
}

// latenessCounter adds up a Lateness. It allocates nothing.
type latenessCounter struct {
	counts [LatenessBuckets + 1]atomic.Uint64
	sum    atomic.Int64
	_      [128]byte // two workers do not write to the same cache line
}

func (c *latenessCounter) add(late time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], late)
	c.counts[i].Add(1)
	c.sum.Add(int64(late))
}

// latenessCounters are several, so that workers rarely share one.
type latenessCounters struct {
	used     atomic.Uint32
	counters [4]latenessCounter
}

// next returns the counters in turn.
func (c *latenessCounters) next() *latenessCounter {
	return &c.counters[c.used.Add(1)%uint32(len(c.counters))]
}

func (c *latenessCounters) read() (l Lateness) {
	for i := range c.counters {
		for b := range l.Counts {
			l.Counts[b] += c.counters[i].counts[b].Load()
		}
		l.Sum += time.Duration(c.counters[i].sum.Load())
	}
	return l
}
