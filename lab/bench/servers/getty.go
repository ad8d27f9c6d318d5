package servers

import (
	"errors"
	"fmt"
	"time"

	getty "github.com/apache/dubbo-getty"
)

func gettyImpl() Impl {
	return Impl{
		Name:    "getty",
		Module:  "github.com/apache/dubbo-getty v1.4.9",
		How:     "no task pool, as in its own benchmark; read timeout 5m, so that idle connections do not wake each second; OnMessage calls WriteBytes with the frame; logging off",
		Timeout: "OnCron, each minute, closes what UpdateActive has not marked",
		Start:   startGetty,
		NoTLS:   "its TLS is crypto/tls beneath its goroutines: see net",
	}
}

var errGettyMarker = errors.New("servers: a frame lacks its marker")

type gettyEcho struct{}

func (gettyEcho) Read(_ getty.Session, data []byte) (any, int, error) {
	if len(data) < header {
		return nil, 0, nil
	}
	n, ok := frameLen(data)
	switch {
	case !ok:
		return nil, 0, errGettyMarker
	case len(data) < n:
		return nil, n, nil
	default:
		return data[:n:n], n, nil
	}
}

func (gettyEcho) Write(_ getty.Session, pkg any) ([]byte, error) { return pkg.([]byte), nil }

func (gettyEcho) OnOpen(getty.Session) error   { return nil }
func (gettyEcho) OnClose(getty.Session)        {}
func (gettyEcho) OnError(getty.Session, error) {}

func (gettyEcho) OnCron(s getty.Session) {
	if time.Since(s.GetActive()) > idleTimeout {
		s.Close()
	}
}

func (gettyEcho) OnMessage(s getty.Session, pkg any) {
	_, _ = s.WriteBytes(pkg.([]byte)) // the next read reports a broken connection
}

func startGetty() (string, func(), error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	getty.SetLogger(discardLogger{})
	srv := getty.NewTCPServer(getty.WithLocalAddress(fmt.Sprintf("127.0.0.1:%d", port)))
	go srv.RunEventLoop(func(s getty.Session) error { // until stop
		s.SetMaxMsgLen(maxFrame)
		s.SetReadTimeout(idleTimeout)
		s.SetWriteTimeout(30 * time.Second)
		s.SetCronPeriod(int(time.Minute / time.Millisecond))
		s.SetWaitTime(time.Second)
		s.SetPkgHandler(gettyEcho{})
		s.SetEventListener(gettyEcho{})
		return nil
	})
	addr, err := waitForServer(port)
	return addr, srv.Close, err
}
