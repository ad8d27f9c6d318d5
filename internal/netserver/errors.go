package netserver

import (
	"errors"
	"slices"
	"syscall"
)

// IsReset reports whether a read or a write failed because the peer has reset the
// connection, or closed it so that nothing can be written any more.
func IsReset(err error) bool { return isOneOf(err, resets) }

// IsPassing reports whether an error of Accept may be gone at the next try: it says
// so itself, as those for lack of file descriptors do, or the system is out of
// memory, or the error belongs to the network or to the one connection.
func IsPassing(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary() || isOneOf(err, passing)
}

func isOneOf(err error, all []syscall.Errno) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains(all, errno)
}
