//go:build unix

package tcp

import (
	"encoding/binary"
	"runtime"
	"syscall"
)

// TCP_INFO of Linux, and the states in it of a socket whose peer will send nothing more.
const (
	tcpInfo      = 11
	tcpTimeWait  = 6
	tcpClose     = 7
	tcpCloseWait = 8
	tcpLastAck   = 9
	tcpClosing   = 11
)

// hasEnded reports whether the peer of a socket has closed its side or reset it. Where the
// system does not tell, it finds the end only when nothing before it waits to be read.
func hasEnded(fd uintptr) bool {
	if runtime.GOOS == "linux" {
		if v, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpInfo); err == nil {
			switch binary.NativeEndian.AppendUint32(nil, uint32(v))[0] {
			case tcpTimeWait, tcpClose, tcpCloseWait, tcpLastAck, tcpClosing:
				return true
			}
			return false
		}
	}
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
	switch err {
	case nil:
		return n == 0
	case syscall.EAGAIN, syscall.EINTR:
		return false
	}
	return true
}
