package udp

import (
	"errors"
	"syscall"
)

// wsaEMsgSize is the error of a read that truncated a datagram (WSAEMSGSIZE).
const wsaEMsgSize = syscall.Errno(10040)

// isTruncated reports whether a read failed because it truncated the datagram.
func isTruncated(err error) bool { return errors.Is(err, wsaEMsgSize) }
