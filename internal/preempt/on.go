//go:build preempt

// Package preempt marks the points between two atomic operations at which a
// goroutine that is preempted there can do the most harm. It costs nothing unless
// the build tag preempt is given, with which tests decide what happens there.
package preempt

import "sync/atomic"

var hook atomic.Pointer[func(point string)]

// Set has f called at each point from now on, on the goroutine that comes there.
// Nil means that nothing is called.
func Set(f func(point string)) {
	if f == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&f)
}

// At is such a point, called as the name says.
func At(point string) {
	if f := hook.Load(); f != nil {
		(*f)(point)
	}
}
