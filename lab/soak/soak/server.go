package soak

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// The servers of the role "server", each an echo server of its own kind.
const (
	lines  = "lines"
	frames = "frames"
	secure = "lines over TLS"
)

// serverOrder is the first order of the role "server".
type serverOrder struct {
	Idle, Frame, Write, Handshake time.Duration
	MaxFrame                      int
}

// serverHello answers it: where the servers listen, by kind.
type serverHello struct{ Addrs map[string]string }

// serverDo is a further order.
type serverDo struct{ Do string }

const (
	doReport  = "report"  // sends a serverReport
	doExhaust = "exhaust" // uses up the descriptors, and sends a serverReport
	doRelieve = "relieve" // gives them back, and sends a serverReport
	doEnd     = "end"     // shuts down, sends a serverReport with the sessions, and ends
)

// serverReport is how the servers stand.
type serverReport struct {
	Counts     map[string]serverCount
	Refused    int           // passing errors of Accept that OnError was told of
	Strange    []string      // what else OnError was told without a session, or what went wrong here
	Exhausted  int           // descriptors that were used up
	Delay      time.Duration // the scheduler's
	Files      int           // open more than before the servers were started; -1: unknown
	Goroutines int           // more than before the servers were started
	Shutdown   time.Duration // how long it took
	Sessions   []sessionSeen // those that have ended
}

// serverCount is one server's.
type serverCount struct {
	Registered, Closed uint64 // as Stats has it
	In                 int
	ByReason           map[pool.Reason]uint64
	Opened, Told       int64 // calls of OnNewSessionRegister and OnSessionClosed
}

// sessionSeen is what a server saw of a session. Its times are since the
// process began.
type sessionSeen struct {
	Kind, Remote  string
	Active, Ended time.Duration // Active is no later than the last activity
	Reason        pool.Reason
}

// server is one of the servers.
type server struct {
	tcp.Server
	kind         string
	served       chan error
	opened, told atomic.Int64
}

// servers is the role's state.
type servers struct {
	start   time.Time
	all     []*server
	held    []closer // descriptors used up
	restore func() error
	refused atomic.Int64

	mu       sync.Mutex
	sessions []*sessionSeen // guarded by mu: those that have ended
	strange  []string       // guarded by mu
}

type closer interface{ Close() error }

// serverChild is the role.
func serverChild(p *parent) error {
	var o serverOrder
	if err := p.orders.Decode(&o); err != nil {
		return err
	}
	// What the runtime opens for its first socket stays open.
	if first, err := net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	} else if err := first.Close(); err != nil {
		return err
	}
	delay := startMetronome()
	defer delay.stop()
	filesBefore, goroutinesBefore := openFiles(), runtime.NumGoroutine()
	s := &servers{start: time.Now(), restore: func() error { return nil }}
	hello, err := s.listen(o)
	if err != nil {
		return err
	}
	if err := p.reports.Encode(hello); err != nil {
		return err
	}
	for {
		var do serverDo
		if err := p.orders.Decode(&do); err != nil {
			return err
		}
		rep := serverReport{Files: -1}
		switch do.Do {
		case doReport:
		case doExhaust:
			err = s.exhaust()
		case doRelieve:
			err = s.relieve()
		case doEnd:
			err = s.shutDown(&rep)
			eventually(context.Background(), callbackPatience, func() bool {
				return runtime.NumGoroutine() <= goroutinesBefore && openFiles() <= filesBefore
			})
			if filesBefore >= 0 {
				rep.Files = openFiles() - filesBefore
			}
			rep.Goroutines = runtime.NumGoroutine() - goroutinesBefore
		default:
			err = fmt.Errorf("there is no order %q", do.Do)
		}
		if err != nil {
			return err
		}
		s.report(&rep, do.Do == doEnd)
		rep.Delay = delay.delay()
		if err := p.reports.Encode(rep); err != nil || do.Do == doEnd {
			return err
		}
	}
}

// listen starts the servers.
func (s *servers) listen(o serverOrder) (hello serverHello, err error) {
	cert, err := selfSigned()
	if err != nil {
		return hello, err
	}
	hello.Addrs = make(map[string]string)
	for _, kind := range []string{lines, frames, secure} {
		srv := &server{kind: kind, served: make(chan error, 1)}
		srv.IdleTimeout, srv.FrameTimeout, srv.WriteTimeout, srv.HandshakeTimeout = o.Idle, o.Frame, o.Write, o.Handshake
		srv.MaxFrame = o.MaxFrame
		if kind == frames {
			srv.Split = tcp.ScanFrames
		}
		if kind == secure {
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		srv.OnNewSessionRegister = func(ts *tcp.Session) {
			srv.opened.Add(1)
			ts.SetValue(&sessionSeen{Kind: kind, Remote: ts.RemoteAddr().String(), Active: time.Since(s.start)})
		}
		srv.OnMessage = func(ts *tcp.Session, message []byte) { s.echo(kind, ts, message) }
		srv.OnError = s.onError
		srv.OnSessionClosed = func(ts *tcp.Session, reason pool.Reason) {
			srv.told.Add(1)
			seen := ts.Value().(*sessionSeen)
			seen.Ended, seen.Reason = time.Since(s.start), reason
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sessions = append(s.sessions, seen)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return hello, err
		}
		hello.Addrs[kind] = l.Addr().String()
		s.all = append(s.all, srv)
		go func() { srv.served <- srv.Serve(l) }() // ended and waited for by shutDown
	}
	return hello, nil
}

func (s *servers) echo(kind string, ts *tcp.Session, message []byte) {
	seen, now := ts.Value().(*sessionSeen), time.Since(s.start)
	var reply []byte
	var err error
	if kind == frames {
		reply, err = tcp.AppendFrame(nil, message)
	} else {
		reply = append(append(reply, message...), '\n')
	}
	if err == nil && ts.Send(reply) == nil {
		seen.Active = now
	}
}

// onError notes what concerns no session; the sessions tell by their reasons.
func (s *servers) onError(ts *tcp.Session, err error) {
	switch {
	case ts != nil:
	case outOfFiles(err):
		s.refused.Add(1)
	default:
		s.wonder("OnError was told without a session: %v", err)
	}
}

func (s *servers) wonder(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strange = append(s.strange, fmt.Sprintf(format, args...))
}

// exhaust uses up the descriptors that the process may have.
func (s *servers) exhaust() (err error) {
	if s.restore, err = limitFiles(16); err != nil {
		return err
	}
	for {
		f, err := openNothing()
		if err != nil {
			return nil
		}
		s.held = append(s.held, f)
	}
}

func (s *servers) relieve() error {
	for _, f := range s.held {
		_ = f.Close() // it holds nothing
	}
	s.held = nil
	return s.restore()
}

func (s *servers) shutDown(rep *serverReport) error {
	ctx, cancel := context.WithTimeout(context.Background(), callbackPatience)
	defer cancel()
	began := time.Now()
	for _, srv := range s.all {
		if err := srv.Shutdown(ctx); err != nil {
			s.wonder("%s: %v", srv.kind, err)
		}
		select {
		case err := <-srv.served:
			if !errors.Is(err, tcp.ErrServerClosed) {
				s.wonder("%s: Serve returned %v", srv.kind, err)
			}
		case <-ctx.Done():
			s.wonder("%s: Serve does not return", srv.kind)
		}
	}
	rep.Shutdown = time.Since(began)
	return nil
}

// report fills in how things stand.
func (s *servers) report(rep *serverReport, sessions bool) {
	rep.Counts = make(map[string]serverCount)
	for _, srv := range s.all {
		st := srv.Stats()
		rep.Counts[srv.kind] = serverCount{
			Registered: st.Registered, Closed: st.Closed, In: st.Sessions, ByReason: st.ByReason,
			Opened: srv.opened.Load(), Told: srv.told.Load(),
		}
	}
	rep.Refused, rep.Exhausted = int(s.refused.Load()), len(s.held)
	s.mu.Lock()
	defer s.mu.Unlock()
	rep.Strange = append(rep.Strange, s.strange...)
	if sessions {
		for _, seen := range s.sessions {
			rep.Sessions = append(rep.Sessions, *seen)
		}
	}
}

// selfSigned makes a certificate that no client trusts.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
