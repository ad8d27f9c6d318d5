package netserver

import "runtime/debug"

// Call calls f on a goroutine of its own and waits for its end, so that neither a
// panic nor runtime.Goexit in f ends the caller. It returns nil if f returned, a
// *PanicError of the given package if it panicked, and goexit if it called
// runtime.Goexit.
func Call(pkg string, goexit error, f func()) error {
	ended := make(chan error)
	go func() { // ends with f; the caller waits for it
		err := goexit
		defer func() {
			if v := recover(); v != nil {
				err = NewPanicError(pkg, v, debug.Stack())
			}
			ended <- err
		}()
		f()
		err = nil
	}()
	return <-ended
}
