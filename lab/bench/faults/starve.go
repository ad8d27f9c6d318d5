package faults

import (
	"context"
	"runtime"

	"github.com/sessionwheel/sessionwheel/lab/bench/procstat"
)

// starved spins on the only processor that the process may use.
func starved(ctx context.Context, c Case) (Figures, string, error) {
	for range 4 {
		go func() { // until the process ends
			for n := 0; ; n++ {
				sink(n)
			}
		}()
	}
	return c.baseline().run(ctx, c)
}

//go:noinline
func sink(int) {}

// garbage keeps the heap close to the memory limit of the process.
func garbage(ctx context.Context, c Case) (Figures, string, error) {
	const keep, piece = 48 << 20, 1 << 10
	kept := make([][]byte, 0, keep/piece)
	for range cap(kept) {
		kept = append(kept, make([]byte, piece))
	}
	for range 2 {
		go func() { // until the process ends
			var last [64]*[256]byte
			for n := 0; ; n++ {
				last[n%len(last)] = new([256]byte)
			}
		}()
	}
	before := procstat.Collections()
	f, text, err := c.baseline().run(ctx, c)
	if err != nil {
		return nil, "", err
	}
	f[cycles] = float64(procstat.Collections() - before)
	runtime.KeepAlive(kept)
	return f, text, nil
}
