package servers

import (
	"crypto/tls"

	"github.com/sessionwheel/sessionwheel/tcp"
)

func sessionwheelImpl() Impl {
	return Impl{
		Name:     "sessionwheel",
		Module:   "github.com/sessionwheel/sessionwheel",
		How:      "tcp.Server with tcp.ScanFrames, and TLSConfig under TLS; OnMessage calls Session.Send with the frame, header included; its other timeouts at their defaults",
		Timeout:  "IdleTimeout, re-armed by each frame and each Send",
		Start:    func() (string, func(), error) { return startSessionwheel(nil) },
		StartTLS: overTLS(startSessionwheel),
	}
}

// startSessionwheel serves over TLS unless config is nil.
func startSessionwheel(config *tls.Config) (string, func(), error) {
	return startTCP(&tcp.Server{
		TLSConfig:   config,
		Split:       scanRawFrames,
		IdleTimeout: idleTimeout,
		OnMessage: func(s *tcp.Session, frame []byte) {
			_ = s.Send(frame) // the server closes a session that fails
		},
	})
}

// startTCP serves on a free port until stop is called.
func startTCP(srv *tcp.Server) (addr string, stop func(), err error) {
	l, err := listen()
	if err != nil {
		return "", nil, err
	}
	done := make(chan struct{})
	go func() { // until stop, which waits for it
		defer close(done)
		_ = srv.Serve(l) // ErrServerClosed
	}()
	return l.Addr().String(), func() {
		_ = srv.Close()
		<-done
	}, nil
}

// scanRawFrames is tcp.ScanFrames with the header in the token, so that a frame
// can be echoed without a copy.
func scanRawFrames(data []byte, atEOF bool) (int, []byte, error) {
	advance, body, err := tcp.ScanFrames(data, atEOF)
	if body == nil {
		return advance, nil, err
	}
	return advance, data[:advance], err
}
