//go:build !preempt

// Package preempt marks the points between two atomic operations at which a
// goroutine that is preempted there can do the most harm. It costs nothing unless
// the build tag preempt is given, with which tests decide what happens there.
package preempt

// At is such a point, called as the name says.
func At(string) {}
