package servers

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

const (
	channelLen   = maxWaiting / 4096 // for messages of 4 KiB, as many bytes as the others allow
	writeTimeout = 30 * time.Second
)

func channelsBroadcaster() Broadcaster {
	return Broadcaster{
		Name:  "channels",
		How:   "written by hand: a channel of 256 messages and a writer goroutine for each connection, and a reader goroutine that sees it close; SetWriteDeadline before each write; a full channel closes the connection; one copy of the message for all",
		Start: startChannels,
	}
}

// channelsHub is a hub as one writes it by hand.
type channelsHub struct {
	listener net.Listener
	running  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	subscribers map[*subscriber]struct{}
	slow        int
	stopped     bool
}

type subscriber struct {
	conn     net.Conn
	messages chan []byte // closed when it leaves the hub
}

func startChannels() (string, Hub, error) {
	l, err := listen()
	if err != nil {
		return "", nil, err
	}
	h := &channelsHub{listener: l, subscribers: make(map[*subscriber]struct{})}
	h.running.Go(func() { // until Stop
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.subscribe(&subscriber{c, make(chan []byte, channelLen)})
		}
	})
	return l.Addr().String(), h, nil
}

func (h *channelsHub) subscribe(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		_ = s.conn.Close()
		return
	}
	h.subscribers[s] = struct{}{}
	h.running.Go(func() { // until the connection is closed
		_, _ = io.Copy(io.Discard, s.conn)
		h.leave(s)
	})
	h.running.Go(func() { // until the channel or the connection is closed
		defer s.conn.Close()
		for p := range s.messages {
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // the write would fail too
			if _, err := s.conn.Write(p); err != nil {
				break
			}
		}
		h.leave(s)
	})
}

func (h *channelsHub) leave(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leaveLocked(s)
}

// leaveLocked reports whether s was a subscriber.
func (h *channelsHub) leaveLocked(s *subscriber) bool {
	if _, ok := h.subscribers[s]; !ok {
		return false
	}
	delete(h.subscribers, s)
	close(s.messages)
	return true
}

func (h *channelsHub) Post(p []byte) {
	shared := bytes.Clone(p)
	var slow []*subscriber
	h.mu.Lock()
	for s := range h.subscribers {
		select {
		case s.messages <- shared:
		default:
			h.leaveLocked(s)
			h.slow++
			slow = append(slow, s)
		}
	}
	h.mu.Unlock()
	for _, s := range slow {
		_ = s.conn.Close() // so that its goroutines end
	}
}

func (h *channelsHub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subscribers)
}

func (h *channelsHub) Slow() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.slow
}

func (h *channelsHub) Stop() {
	_ = h.listener.Close()
	h.mu.Lock()
	h.stopped = true
	for s := range h.subscribers {
		h.leaveLocked(s)
		_ = s.conn.Close()
	}
	h.mu.Unlock()
	h.running.Wait()
}
