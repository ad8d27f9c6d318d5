package faults

import (
	"context"
	"runtime"
)

// starved spins on every processor, of which the process was given one.
func starved(ctx context.Context, c Case) (Figures, string, error) {
	for range 4 {
		go func() { // ends with the process
			for n := 0; ; n++ {
				sink(n)
			}
		}()
	}
	return c.ordinary().run(ctx, c)
}

//go:noinline
func sink(int) {}

// garbage keeps the heap close to the limit that the process was given.
func garbage(ctx context.Context, c Case) (Figures, string, error) {
	const keep, piece = 48 << 20, 1 << 10
	kept := make([][]byte, 0, keep/piece)
	for range cap(kept) {
		kept = append(kept, make([]byte, piece))
	}
	for range 2 {
		go func() { // ends with the process
			var last [64]*[256]byte
			for n := 0; ; n++ {
				last[n%len(last)] = new([256]byte)
			}
		}()
	}
	before := collections()
	f, text, err := c.ordinary().run(ctx, c)
	if err != nil {
		return nil, "", err
	}
	f[cycles] = float64(collections() - before)
	runtime.KeepAlive(kept)
	return f, text, nil
}
