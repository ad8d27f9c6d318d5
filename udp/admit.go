package udp

import (
	"fmt"
	"net/netip"
	"runtime/debug"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
)

// admit asks Admit about a datagram from an address without a session, and sends its
// reply. It reports whether the datagram may begin a session; if not, the datagram is
// counted. It runs on the goroutine that reads.
func (srv *Server) admit(addr netip.AddrPort, p []byte) (ok bool) {
	defer func() {
		if !ok { // also if Admit panics or calls runtime.Goexit
			srv.counts.notAdmitted.Add(1)
		}
	}()
	reply, ok := srv.callAdmit(addr, p)
	if reply == nil {
		return ok
	}
	if err := srv.socket.write(reply, addr); err != nil {
		srv.reportLimited(failedReply, func() error {
			return fmt.Errorf("%w: reply of Admit to %v: %w", ErrWrite, addr, err)
		})
	}
	return ok
}

// callAdmit calls Admit. A panic there is logged and reported, and the datagram is
// not admitted.
func (srv *Server) callAdmit(addr netip.AddrPort, p []byte) (reply []byte, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			srv.logPanic(v, stack)
			srv.reportLimited(failedAdmit, func() error { return netserver.NewPanicError("udp", v, stack) })
			reply, ok = nil, false
		}
	}()
	return srv.Admit(addr, p[:len(p):len(p)])
}
