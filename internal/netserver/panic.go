package netserver

import "fmt"

// PanicError reports that a callback panicked. Packages tcp and udp export it
// under this name.
type PanicError struct {
	Value any    // the value that panic was called with
	Stack []byte // the stack of the panic, as runtime/debug.Stack formats it

	pkg string // the package that called the callback
}

// NewPanicError returns the error for a callback that the given package called.
func NewPanicError(pkg string, value any, stack []byte) *PanicError {
	return &PanicError{Value: value, Stack: stack, pkg: pkg}
}

// Error returns a text with the panic's value and without the stack.
func (e *PanicError) Error() string {
	text := fmt.Sprintf("callback panicked: %v", e.Value)
	if e.pkg == "" {
		return text
	}
	return e.pkg + ": " + text
}

// Unwrap returns the panic's value if it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
