package wheel

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// LatenessBuckets is how many bounds a [Lateness] has.
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

// LatenessBound is the i-th bound, of which each is 1.19 times the one before:
// 2^((i-55)/4) seconds, from 73µs for 0 to 64s for LatenessBuckets-1.
func LatenessBound(i int) time.Duration { return bounds[i] }

// Lateness is a histogram: how long after its deadline each callback started.
// A timer that was due when it was armed counts from then.
type Lateness struct {
	// Counts[i] counts the callbacks that started at most LatenessBound(i) late, and
	// later than the bound before; the last one those beyond all bounds.
	Counts [LatenessBuckets + 1]uint64

	Sum time.Duration // of all lateness
}

// Count is how many callbacks have started.
func (l Lateness) Count() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile is the least bound that a share q of the callbacks, from 0 to 1, was
// not later than. The last bound stands for what is beyond it too. It is 0 if
// there were none.
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

// Sub is what was added since an earlier reading of the same wheel.
func (l Lateness) Sub(earlier Lateness) Lateness {
	for i := range l.Counts {
		l.Counts[i] -= earlier.Counts[i]
	}
	l.Sum -= earlier.Sum
	return l
}

// String is a summary of one line.
func (l Lateness) String() string {
	return fmt.Sprintf("%d callbacks, p50 %v, p99 %v, max %v late", l.Count(), l.Quantile(0.5), l.Quantile(0.99), l.Quantile(1))
}

// latenessCounter adds up a Lateness. It allocates nothing.
type latenessCounter struct {
	counts [LatenessBuckets + 1]atomic.Uint64
	sum    atomic.Int64
}

func (c *latenessCounter) add(late time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], late)
	c.counts[i].Add(1)
	c.sum.Add(int64(late))
}

func (c *latenessCounter) read() (l Lateness) {
	for i := range c.counts {
		l.Counts[i] = c.counts[i].Load()
	}
	l.Sum = time.Duration(c.sum.Load())
	return l
}
