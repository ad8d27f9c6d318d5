package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencies gathers round trips from many goroutines, to three digits.
type latencies struct {
	parts [8]struct {
		mu sync.Mutex
		h  *hdrhistogram.Histogram // guarded by mu
	}
}

const longest = time.Minute

func newLatencies() *latencies {
	l := &latencies{}
	for i := range l.parts {
		l.parts[i].h = hdrhistogram.New(int64(time.Microsecond), int64(longest), 3)
	}
	return l
}

// record adds the round trip of a message of the nth connection.
func (l *latencies) record(nth int, d time.Duration) {
	p := &l.parts[nth%len(l.parts)]
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.h.RecordValue(int64(min(d, longest))) // within the range
}

// merged is all of them.
func (l *latencies) merged() *hdrhistogram.Histogram {
	all := hdrhistogram.New(int64(time.Microsecond), int64(longest), 3)
	for i := range l.parts {
		p := &l.parts[i]
		p.mu.Lock()
		all.Merge(p.h)
		p.mu.Unlock()
	}
	return all
}
