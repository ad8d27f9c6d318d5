package servers

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
)

func nbioBroadcaster() Broadcaster {
	return Broadcaster{
		Name:   "nbio",
		Module: "github.com/lesismal/nbio v1.6.8",
		How:    "its defaults, and MaxWriteBufferSize 1 MiB; Conn.Write for each connection of a map, which its OnOpen and OnClose keep",
		Start:  startNbioHub,
	}
}

type nbioHub struct {
	engine *nbio.Engine

	mu sync.Mutex
	// Guarded by mu.
	conns map[*nbio.Conn]struct{}
	slow  int

	to []*nbio.Conn // of Post
}

func startNbioHub() (string, Hub, error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	logging.SetLevel(logging.LevelNone)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	h := &nbioHub{conns: make(map[*nbio.Conn]struct{})}
	h.engine = nbio.NewEngine(nbio.Config{Network: "tcp", Addrs: []string{addr}, MaxWriteBufferSize: maxWaiting})
	h.engine.OnOpen(func(c *nbio.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(idleTimeout)) // always nil
		h.mu.Lock()
		defer h.mu.Unlock()
		h.conns[c] = struct{}{}
	})
	h.engine.OnClose(func(c *nbio.Conn, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.conns, c)
		if errors.Is(err, nbio.ErrOverflow) {
			h.slow++
		}
	})
	if err := h.engine.Start(); err != nil {
		return "", nil, fmt.Errorf("servers: nbio: %w", err)
	}
	return addr, h, nil
}

func (h *nbioHub) Post(p []byte) {
	h.mu.Lock()
	h.to = h.to[:0]
	for c := range h.conns {
		h.to = append(h.to, c)
	}
	h.mu.Unlock()
	for _, c := range h.to {
		_, _ = c.Write(p) // the engine closes a connection that fails
	}
}

func (h *nbioHub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

func (h *nbioHub) Slow() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.slow
}

func (h *nbioHub) Stop() { h.engine.Stop() }
