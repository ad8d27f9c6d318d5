package tcp

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/netserver"
	"github.com/sessionwheel/sessionwheel/pool"
)

// A session that has something to say when it ends goes through these steps, none of which
// anybody but Shutdown waits for:
//
//  1. The close is won: part has the session's goroutine end.
//  2. That goroutine calls Farewell, queues what it returns, and starts linger, before the
//     session's last callbacks. If there is no farewell and a callback runs, the close
//     starts linger itself.
//  3. linger waits until all is written and the writing side is closed, and then reads and
//     drops until the peer has closed its side. Closing a connection with unread input would
//     reset it, which destroys what the peer has not read yet.
//
// After LingerTimeout the connection is closed wherever that is. For Finish, that time begins
// with the reading.

const (
	// briefly is what writing takes at most if LingerTimeout allows no lingering.
	briefly = 200 * time.Millisecond

	// maxDropped bounds what is read and dropped.
	maxDropped = 16 << 20

	// ackInterval is how often linger looks whether the peer's system has received all.
	ackInterval = 5 * time.Millisecond
)

// lingering is the time that a session has to linger.
type lingering struct {
	s *Session

	mu sync.Mutex
	// Guarded by mu.
	timer   *time.Timer   // nil until the time begins
	stopped bool          // the connection is closed
	rest    time.Duration // between the two looks of cut
	unacked int           // at the first look
	looked  bool
}

// part begins the end of a session that has something to say. The phase is that before the
// close.
func (s *Session) part(before uint32, r pool.Reason) {
	s.parts = true
	l := &lingering{s: s}
	if !s.marks.has(markFinishing) {
		l.start(cmp.Or(s.server.lingerTimeout, briefly))
	}
	if !s.server.keepLingering(l) {
		l.stop()
		s.closeSocket(true)
	}
	switch before {
	case phaseRegistering, phaseLastCall, phaseBusy, phaseDraining: // in a callback, and reads no more
		if !s.saysFarewell(r) {
			s.startLinger(nil)
		}
	default:
		_ = s.conn.SetReadDeadline(past) // has its goroutine look
	}
}

// sayLast calls Farewell, if it is due, and starts linger, if it has not been. It is called
// by the session's goroutine, which reads no more.
func (s *Session) sayLast() {
	if !s.parts {
		return
	}
	var last []byte
	if s.saysFarewell(s.ps.Reason()) {
		last = s.callFarewell()
	}
	s.startLinger(last)
}

// callFarewell calls Farewell. If it crashes, there is none.
func (s *Session) callFarewell() (last []byte) {
	err := netserver.Call("tcp", ErrGoexit, func() { last = s.server.Farewell(s, s.ps.Reason()) })
	if err != nil {
		s.server.logCrash(err)
		s.fault.Store(&fault{ReasonPanic, err})
		return nil
	}
	return last
}

func (s *Session) startLinger(last []byte) {
	if s.marks.set(markLingers) {
		return
	}
	finished := s.finishOutbound(last)
	s.server.enterHelper()
	go func() { // owned by the server; ends when the connection is closed; Shutdown waits for it
		defer s.server.leaveHelper()
		s.linger(finished)
	}()
}

func (s *Session) linger(finished <-chan struct{}) {
	<-finished // or the connection is closed, and the write fails
	switch {
	case s.broke():
		s.closeSocket(true)
		return
	case s.out.half && s.server.lingerTimeout > 0:
		if s.marks.has(markFinishing) {
			s.server.lingeringOf(s).start(s.server.lingerTimeout)
		}
		s.dropInput()
	}
	s.closeSocket(false)
}

// dropInput reads and drops what the peer sends, until the peer has closed its side and has
// received all.
func (s *Session) dropInput() {
	_ = s.conn.SetReadDeadline(time.Time{}) // a closed connection tells at the read
	conn := s.conn
	eachLayer(conn, func(c net.Conn) bool { conn = c; return false }) // beneath TLS
	var large *buffer
	p := make([]byte, 256)
	for dropped := 0; dropped < maxDropped; {
		n, err := conn.Read(p)
		dropped += n
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, os.ErrDeadlineExceeded) { // meant for the session, which may still be in a callback
			_ = s.conn.SetReadDeadline(time.Time{})
			continue
		}
		if err != nil { // it is gone
			return
		}
		if n == len(p) && large == nil { // it keeps sending
			large = takeBuffer(2)
			defer large.giveBack()
			p = large.data
		}
	}
	for s.isUnacked() && !s.marks.has(markGone) {
		time.Sleep(ackInterval)
	}
}

// start begins the time. A nil lingering is that of a session whose connection is closed.
func (l *lingering) start(d time.Duration) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.rest = d / 4
		l.timer = time.AfterFunc(d-d/4, l.cut) // ends when the connection is closed
	}
}

// cut is called twice: to look how much the peer has not received yet, and then to close the
// connection. If the peer is receiving still, the kernel goes on with what it has; otherwise
// nothing is left there.
func (l *lingering) cut() {
	n, _ := unacked(l.s.socket())
	if receiving, again := l.look(n); !again {
		l.s.closeSocket(!receiving)
	}
}

// look takes in how much the peer has not received yet. The first time, it has cut called
// again.
func (l *lingering) look(n int) (receiving, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looked || l.stopped {
		return n > 0 && n < l.unacked, false
	}
	l.looked, l.unacked = true, n
	l.timer.Reset(l.rest)
	return false, true
}

// stop ends the time, if there is one.
func (l *lingering) stop() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.timer != nil {
		l.timer.Stop()
	}
}
