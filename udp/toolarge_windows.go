package udp

import (
	"errors"
	"syscall"
)

// wsaEMsgSize is what Windows says when it had to cut a datagram.
const wsaEMsgSize = syscall.Errno(10040)

func wasCut(err error) bool { return errors.Is(err, wsaEMsgSize) }
