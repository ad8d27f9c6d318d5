package servers

import (
	"github.com/sessionwheel/sessionwheel/tcp"
)

func tcpImpl() Impl {
	return Impl{
		Name:    "sessionwheel",
		Module:  "github.com/sessionwheel/sessionwheel",
		How:     "tcp.Server with Split: tcp.ScanFrames; Session.Send of the frame, header included, from OnMessage; its other timeouts at their defaults",
		Timeout: "IdleTimeout, re-armed by each frame and each Send",
		Start:   startTCP,
	}
}

func startTCP() (string, func(), error) {
	l, err := listen()
	if err != nil {
		return "", nil, err
	}
	srv := &tcp.Server{
		Split:       scanWhole,
		IdleTimeout: idleTimeout,
		OnMessage: func(s *tcp.Session, frame []byte) {
			_ = s.Send(frame) // a session that fails is closed by the server
		},
	}
	done := make(chan struct{})
	go func() { // ends with Close; waited for by stop
		defer close(done)
		_ = srv.Serve(l) // ErrServerClosed
	}()
	return l.Addr().String(), func() {
		_ = srv.Close()
		<-done
	}, nil
}

// scanWhole is tcp.ScanFrames with the header in the token, so that a frame is
// echoed without being put together again.
func scanWhole(data []byte, atEOF bool) (int, []byte, error) {
	advance, body, err := tcp.ScanFrames(data, atEOF)
	if body == nil {
		return advance, nil, err
	}
	return advance, data[:advance], err
}
