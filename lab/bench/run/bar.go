package run

import (
	"sync"

	"github.com/vbauerster/mpb/v8"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// bar shows the measurement that goes on.
type bar struct {
	bar *mpb.Bar

	mu sync.Mutex
	// Guarded by mu.
	step string
}

func (b *bar) Begin(s Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.step = label(s)
}

func (b *bar) End(Step, works.Result) { b.bar.Increment() }

// now is called by the bar's own goroutine.
func (b *bar) now() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.step
}
