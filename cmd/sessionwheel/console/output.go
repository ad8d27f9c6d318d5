package console

import (
	"fmt"
	"io"
	"sync"
)

// Output is a program's standard output. It remembers the first error, so that
// the program exits with a failure when its output was lost, as on a full disk.
// It is safe for concurrent use.
type Output struct {
	w      io.Writer
	failed func() // called once, on the goroutine of the first write that fails

	mu  sync.Mutex
	err error // guarded by mu
}

// Write is as io.Writer says.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		if o.note(err) {
			o.failed()
		}
		err = o.lost()
	}
	return n, err
}

// note keeps the error and reports whether it is the first.
func (o *Output) note(err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return false
	}
	o.err = fmt.Errorf("writing the output: %w", err)
	return true
}

// lost is the first error of all, or nil.
func (o *Output) lost() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
