package measure

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
)

// measureOps calls an op on each of workers goroutines, over and over for span. It
// returns wall nanoseconds and allocations per op, counted as
// testing.B.RunParallel counts them, and the processor time of the whole process
// per op. It warms up for a quarter of span first.
func measureOps(workers int, span time.Duration, newOp func(worker int) func()) map[string]float64 {
	ops := make([]func(), workers)
	for i := range ops {
		ops[i] = newOp(i)
	}
	runParallel(ops, span/4)
	runtime.GC()
	before, cpu := procstat.Mallocs(), procstat.CPUTime()
	perNano, n := runParallel(ops, span)
	cpu = procstat.CPUTime() - cpu
	after := procstat.Mallocs()
	return map[string]float64{
		"ns/op":     1 / perNano,
		"allocs/op": float64(after-before) / float64(n),
		"CPU ns/op": float64(cpu) / float64(n),
	}
}

// runParallel runs each op on a goroutine of its own for span. It returns the
// number of calls per nanosecond and in all.
func runParallel(ops []func(), span time.Duration) (perNano float64, n int) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	for _, op := range ops {
		all.Go(func() {
			done, took := runFor(op, span)
			mu.Lock()
			perNano += float64(done) / float64(took)
			n += done
			mu.Unlock()
		})
	}
	all.Wait()
	return perNano, n
}

// runFor calls op until span has passed. It reads the clock about every hundred
// microseconds, and at most once per op.
func runFor(op func(), span time.Duration) (n int, took time.Duration) {
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

// randomIDs yields IDs below n in random order. The order is precomputed, so
// that drawing it is not measured: a list of at most a million, which is shifted
// each time it has been used up.
type randomIDs struct {
	order []uint32
	n     uint32
	at    int
	shift uint32
}

func newRandomIDs(n int, seed uint64) *randomIDs {
	r := rand.New(rand.NewPCG(seed, 1))
	ids := &randomIDs{order: make([]uint32, min(max(n, 1<<12), 1<<20)), n: uint32(n)}
	for i := range ids.order {
		ids.order[i] = uint32(r.IntN(n))
	}
	return ids
}

func (r *randomIDs) next() int64 {
	i := r.order[r.at] + r.shift
	if i >= r.n {
		i -= r.n
	}
	if r.at++; r.at == len(r.order) {
		r.at = 0
		r.shift = (r.shift + 0x9e3779b1) % r.n
	}
	return int64(i)
}
