package tcp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// poller wakes parked sessions when there is input. It waits for all of them with an epoll
// instance of its own, which the runtime's poller waits for, so that no thread is held.
//
// An event carries the ID of its session. So one that comes late finds no session, or the
// right one, whatever has become of the descriptor. A session that is woken in vain reads
// nothing and parks again.
type poller struct {
	server *Server
	file   *os.File
	conn   syscall.RawConn
	events [128]syscall.EpollEvent // of its goroutine
	ended  chan struct{}           // closed when that has ended
}

const canPoll = true

// poll returns the server's poller, made at its first use.
func (srv *Server) poll() (*poller, error) {
	if p := srv.poller.Load(); p != nil {
		return p, nil
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if p := srv.poller.Load(); p != nil {
		return p, nil
	}
	if srv.unpolled {
		return nil, ErrServerClosed
	}
	p, err := newPoller(srv)
	if err != nil {
		return nil, err
	}
	srv.poller.Store(p)
	return p, nil
}

func newPoller(srv *Server) (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	_ = syscall.SetNonblock(fd, true) // so that the runtime's poller takes it
	p := &poller{server: srv, file: os.NewFile(uintptr(fd), "epoll"), ended: make(chan struct{})}
	if p.conn, err = p.file.SyscallConn(); err != nil {
		_ = p.file.Close()
		return nil, err
	}
	go p.run() // owned by the server; ends when file is closed; stopPolling waits for it
	return p, nil
}

// stopPolling ends the poller. No session is parked for input any more.
func (srv *Server) stopPolling() {
	srv.mu.Lock()
	srv.unpolled = true
	srv.mu.Unlock()
	if p := srv.poller.Load(); p != nil {
		_ = p.file.Close() // the first time; then it is closed
		<-p.ended
	}
}

func (p *poller) run() {
	defer close(p.ended)
	_ = p.conn.Read(p.collect) // until file is closed
}

// collect wakes the sessions for which there is input. It reports false to be called again when
// there are more.
func (p *poller) collect(fd uintptr) bool {
	for {
		n, err := syscall.EpollWait(int(fd), p.events[:], 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		for i := range max(0, n) { // it fails for nothing else
			p.server.wakeSession(eventID(&p.events[i]))
		}
		if n < len(p.events) {
			return false
		}
	}
}

func (srv *Server) wakeSession(id int64) {
	if ps, ok := srv.sessions.Load().Get(id); ok {
		(*Session)(ps.Conn()).wake()
	}
}

// watchInput has the poller wake the session when there is input, or the connection has
// ended; at once, if that is so already. It may run beside the session itself, which others
// may have woken.
func (s *Session) watchInput() bool {
	p, err := s.server.poll()
	if err == nil {
		err = p.watch(s)
	}
	switch {
	case err == nil:
		s.server.parkFails.Store(false)
		return true
	case errors.Is(err, ErrServerClosed) || errors.Is(err, net.ErrClosed):
	case !s.server.parkFails.Swap(true): // told once, until it works again
		s.server.tellError(fmt.Errorf("tcp: idle sessions keep a goroutine each: %w", err))
	}
	return false
}

// watch arms the poller for the session's descriptor, which is not closed meanwhile.
func (p *poller) watch(s *Session) (err error) {
	if closed := s.socket().Control(func(fd uintptr) { err = p.control(s, int(fd)) }); closed != nil {
		return net.ErrClosed
	}
	return err
}

func (p *poller) control(s *Session, fd int) (err error) {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT}
	setEventID(&event, s.ID())
	op := syscall.EPOLL_CTL_ADD
	if s.marks.has(markWatched) {
		op = syscall.EPOLL_CTL_MOD
	}
	closed := p.conn.Control(func(epoll uintptr) {
		err = syscall.EpollCtl(int(epoll), op, fd, &event)
		if errors.Is(err, syscall.EEXIST) { // somebody else was faster
			err = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_MOD, fd, &event)
		}
	})
	switch {
	case closed != nil:
		return ErrServerClosed
	case err != nil:
		return os.NewSyscallError("epoll_ctl", err)
	}
	s.marks.set(markWatched)
	return nil
}

// An event's data is 64 bits, of which package syscall makes two fields.

func setEventID(e *syscall.EpollEvent, id int64) { e.Fd, e.Pad = int32(id), int32(id>>32) }

func eventID(e *syscall.EpollEvent) int64 { return int64(e.Pad)<<32 | int64(uint32(e.Fd)) }
