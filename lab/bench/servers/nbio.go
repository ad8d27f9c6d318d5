package servers

import (
	"fmt"
	"time"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
)

func nbioImpl() Impl {
	return Impl{
		Name:    "nbio",
		Module:  "github.com/lesismal/nbio v1.6.8",
		How:     "level-triggered epoll (its default), a poller per processor, SetReadDeadline at each read; OnData writes the complete frames at once and keeps the rest with the connection",
		Timeout: "its SetReadDeadline",
		Start:   startNbio,
		NoTLS:   "its TLS needs another library, github.com/lesismal/llib",
	}
}

func startNbio() (string, func(), error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	logging.SetLevel(logging.LevelNone)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	e := nbio.NewEngine(nbio.Config{Network: "tcp", Addrs: []string{addr}})
	e.OnOpen(func(c *nbio.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(idleTimeout)) // always nil
	})
	e.OnData(nbioEcho)
	if err := e.Start(); err != nil {
		return "", nil, fmt.Errorf("servers: nbio: %w", err)
	}
	return addr, e.Stop, nil
}

func nbioEcho(c *nbio.Conn, data []byte) {
	_ = c.SetReadDeadline(time.Now().Add(idleTimeout)) // always nil
	if rest, ok := c.Session().([]byte); ok && len(rest) > 0 {
		data = append(rest, data...)
	}
	n, ok := wholeFrames(data)
	if !ok {
		_ = c.Close()
		return
	}
	if n > 0 {
		_, _ = c.Write(data[:n]) // the engine closes a connection that fails
	}
	switch {
	case n < len(data):
		c.SetSession(append([]byte(nil), data[n:]...))
	case c.Session() != nil:
		c.SetSession(nil)
	}
}
