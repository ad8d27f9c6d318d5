package works

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// repeat has each of workers goroutines call its own op for span, and returns
// nanoseconds of wall time and allocations per op, as testing.B.RunParallel
// counts them, and the processor time of the whole process. It warms up for a
// quarter of span first.
func repeat(workers int, span time.Duration, op func(worker int) func()) map[string]float64 {
	ops := make([]func(), workers)
	for i := range ops {
		ops[i] = op(i)
	}
	parallel(ops, span/4)
	runtime.GC()
	before, cpu := mallocs(), cpuTime()
	perNano, n := parallel(ops, span)
	cpu = cpuTime() - cpu
	after := mallocs()
	return map[string]float64{
		"ns/op":     1 / perNano,
		"allocs/op": float64(after-before) / float64(n),
		"CPU ns/op": float64(cpu) / float64(n),
	}
}

// parallel reports how many ops a nanosecond took place, and how many in all.
func parallel(ops []func(), span time.Duration) (perNano float64, n int) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	for _, op := range ops {
		all.Go(func() {
			done, took := forSpan(op, span)
			mu.Lock()
			perNano += float64(done) / float64(took)
			n += done
			mu.Unlock()
		})
	}
	all.Wait()
	return perNano, n
}

// forSpan calls op until span has passed. It looks at the clock about every
// hundred microseconds, at least once an op.
func forSpan(op func(), span time.Duration) (n int, took time.Duration) {
	start, chunk := time.Now(), 1
	for took < span {
		for range chunk {
			op()
		}
		n += chunk
		now := time.Since(start)
		if now-took < 100*time.Microsecond && chunk < 1<<14 {
			chunk *= 2
		}
		took = now
	}
	return n, took
}

// walk gives indices below n at random, precomputed so that drawing them is not
// measured: a list of at most a million that is shifted each time it is through.
type walk struct {
	order []uint32
	n     uint32
	at    int
	shift uint32
}

func newWalk(n int, seed uint64) *walk {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &walk{order: make([]uint32, min(max(n, 1<<12), 1<<20)), n: uint32(n)}
	for i := range w.order {
		w.order[i] = uint32(r.IntN(n))
	}
	return w
}

func (w *walk) next() int64 {
	i := w.order[w.at] + w.shift
	if i >= w.n {
		i -= w.n
	}
	if w.at++; w.at == len(w.order) {
		w.at = 0
		w.shift = (w.shift + 0x9e3779b1) % w.n
	}
	return int64(i)
}
