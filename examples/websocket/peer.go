package main

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionwheel/sessionwheel/pool"
)

const queueLength = 64 // messages that wait for a slow reader

// peer is the connection of a session.
type peer struct {
	room     string
	conn     net.Conn        // beneath ws; its deadlines bound what ws does
	ws       *websocket.Conn // set before the session is registered
	session  *session        // set before it is in a room, and before it can end
	queue    chan []byte     // to be written
	ping     chan struct{}   // a ping is to be sent
	overflow sync.Once
}

// send queues a message. It never blocks: the session of a peer whose queue is
// full is closed, which may take a moment, on a goroutine that ends with it.
func (p *peer) send(message []byte) {
	select {
	case p.queue <- message:
	default:
		p.overflow.Do(func() { go p.session.Close(slow) })
	}
}

// wantPing has write send a ping.
func (p *peer) wantPing() {
	select {
	case p.ping <- struct{}{}:
	default: // it is to send one already
	}
}

// pong is called by whoever reads from ws. A session that was refused is nil.
func (p *peer) pong(context.Context, []byte) {
	if p.session != nil {
		p.session.Touch()
	}
}

// write sends what is queued, and pings, until the session ends. Ping waits for
// the pong, so each has a goroutine, which write waits for and which ends after
// pongWait at the latest; the pong itself is read by read.
func (c *chat) write(s *session) {
	p := s.Conn()
	var pings sync.WaitGroup
	defer pings.Wait()
	for {
		select {
		case message := <-p.queue:
			err := within(c.writeTimeout, func(ctx context.Context) error {
				return p.ws.Write(ctx, websocket.MessageText, message)
			})
			if err != nil {
				s.Close(reasonOf(err))
				return
			}
		case <-p.ping:
			pings.Go(func() { _ = within(c.pongWait, p.ws.Ping) }) // without a pong comes the timeout
		case <-s.Done():
			return
		}
	}
}

func within(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx)
}

// Close is called by the pool when the session ends. It stops the reading and
// leaves the connection to farewell, which follows and is told the reason.
func (p *peer) Close() error { return p.conn.SetReadDeadline(time.Now()) }

// farewell sends a close frame with the reason and cuts the connection. It takes
// no longer than most, whatever the peer does; one that timed out is not waited
// for.
func (p *peer) farewell(r pool.Reason, most time.Duration) {
	until := time.Now().Add(most)
	_ = p.conn.SetWriteDeadline(until)
	if r != pool.Timeout {
		_ = p.conn.SetReadDeadline(until)
	}
	_ = p.ws.Close(closeCode(r), string(r)) // it fails when the peer is gone
}
