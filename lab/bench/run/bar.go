package run

import (
	"sync"

	"github.com/vbauerster/mpb/v8"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// bar is a Progress that draws a bar and names the measurement under way.
type bar struct {
	bar *mpb.Bar

	mu sync.Mutex
	// Guarded by mu.
	label string
}

func (b *bar) Begin(s Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.label = label(s)
}

func (b *bar) End(Step, measure.Result) { b.bar.Increment() }

// current returns the label of the measurement under way. The bar's goroutine
// calls it.
func (b *bar) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.label
}
