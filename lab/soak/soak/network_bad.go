package soak

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// badPeers are the neighbours of the well-behaved.
var badPeers = []struct {
	name string
	do   func(context.Context, *badPeer) error
}{
	{"peers that reset", resetStorm},
	{"peers that connect and cut", cutStorm},
	{"half-open peers", halfOpen},
	{"peers that trickle", trickle},
	{"peers that never read", neverRead},
	{"peers that never start their handshake", neverHandshake},
	{"garbage in lines", garbageLines},
	{"garbage in frames", garbageFrames},
	{"frames cut at every byte", cutFrames},
}

// badPeer is one kind of neighbours at work.
type badPeer struct {
	*network
	rand *rand.Rand
}

func (p *badPeer) dial(ctx context.Context, kind string) (*net.TCPConn, error) {
	p.r.count(1)
	return dialServer(ctx, p.addrs[kind])
}

// anyKind draws a server.
func (p *badPeer) anyKind() string { return []string{lines, frames, secure}[p.rand.IntN(3)] }

// random is so many random bytes.
func (p *badPeer) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(p.rand.Uint32())
	}
	return b
}

// resetStorm connects, says something, and resets the connection.
func resetStorm(ctx context.Context, p *badPeer) error {
	for range p.r.size(600, 60) {
		conn, err := p.dial(ctx, p.anyKind())
		if err != nil {
			return err
		}
		_, _ = conn.Write(p.random(p.rand.IntN(200))) // the server may have closed it for what it is
		if p.rand.IntN(2) == 0 {
			time.Sleep(time.Duration(p.rand.IntN(2000)) * time.Microsecond)
		}
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
	return nil
}

// cutStorm connects and closes as fast as the machine does it.
func cutStorm(ctx context.Context, p *badPeer) error {
	var workers sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		kind := p.anyKind()
		workers.Go(func() {
			for range p.r.size(500, 50) {
				conn, err := p.dial(ctx, kind)
				if err != nil {
					errs[i] = err
					return
				}
				_ = conn.Close()
			}
		})
	}
	workers.Wait()
	return firstBroken(errs...)
}

// endOf is what a peer sees of the end of its connection.
type endOf struct {
	took time.Duration
	read []byte
	err  error // nil: the server hung up; else it was reset, or nothing came for too long
}

// awaitEnd reads until the server hangs up.
func (p *badPeer) awaitEnd(ctx context.Context, conn net.Conn, since time.Time) (e endOf, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	_ = conn.SetReadDeadline(time.Now().Add(p.order.Idle + callbackPatience))
	e.read, e.err = io.ReadAll(conn)
	e.took = time.Since(since)
	if ctx.Err() != nil {
		return e, context.Cause(ctx)
	}
	var timeout net.Error
	if errors.As(e.err, &timeout) && timeout.Timeout() {
		return e, broken(boundedLateness, "after %v the server had not hung up", e.took)
	}
	return e, nil
}

// hungUp waits for the server to hang up on peers that deserve it after d, and
// notes how late that is. None of them may be hung up on before.
func (p *badPeer) hungUp(ctx context.Context, conns []*net.TCPConn, since []time.Time, d time.Duration, reason pool.Reason) error {
	var all sync.WaitGroup
	errs := make([]error, len(conns))
	for i, conn := range conns {
		all.Go(func() {
			e, err := p.awaitEnd(ctx, conn, since[i])
			switch {
			case err != nil:
				errs[i] = err
			case e.took < d:
				errs[i] = broken(neverEarly, "the server hung up after %v, where it must wait for %v", e.took, d)
			default:
				p.r.late(e.took - d)
				p.mu.Lock()
				p.latest = max(p.latest, e.took-d)
				p.mu.Unlock()
			}
			if reason != tcp.ReasonHandshake { // no callback is told of such a session
				p.wants(conn.LocalAddr().String(), reason)
			}
		})
	}
	all.Wait()
	return firstBroken(errs...)
}

// several dials some peers and has each begin. They are closed when ctx ends and
// by the caller's done.
func (p *badPeer) several(ctx context.Context, n int, kind string, begin func(*net.TCPConn) error) (conns []*net.TCPConn, since []time.Time, done func(), err error) {
	done = func() {
		for _, conn := range conns {
			_ = conn.Close() // the server has hung up already, if all is well
		}
	}
	for range n {
		err := p.r.patiently(ctx, p.least, func() error {
			began := time.Now()
			conn, err := p.dial(ctx, kind)
			if err != nil {
				return err
			}
			if err := begin(conn); err != nil {
				_ = conn.Close() // it did not begin
				return err
			}
			conns, since = append(conns, conn), append(since, began)
			return nil
		})
		if err != nil {
			return conns, since, done, err
		}
	}
	return conns, since, done, nil
}

// halfOpen says something and then nothing for good, as a peer that is gone
// without a word does: its side stays open until the server gives up.
func halfOpen(ctx context.Context, p *badPeer) error {
	conns, since, done, err := p.several(ctx, p.r.size(20, 5), lines, func(conn *net.TCPConn) error {
		g := goodPeer{conn: conn, r: p.r, kind: lines}
		if err := g.greet(ctx); err != nil {
			return broken(unharmed, "a first message was not echoed: %v", err)
		}
		return nil
	})
	defer done()
	if err != nil {
		return err
	}
	return p.hungUp(ctx, conns, since, p.order.Idle, pool.Timeout)
}

// trickle sends the bytes of a frame one by one, and never the last.
func trickle(ctx context.Context, p *badPeer) error {
	var peers sync.WaitGroup
	defer peers.Wait()
	for _, kind := range []string{lines, frames} {
		conns, since, done, err := p.several(ctx, p.r.size(5, 2), kind, func(conn *net.TCPConn) error {
			frame := append([]byte("$\xff\xff#"), bytes.Repeat([]byte("x"), 1000)...)
			if kind == lines {
				frame = frame[4:]
			}
			peers.Go(func() { // ends when the connection does, or after a thousand bytes
				for i := range frame {
					if _, err := conn.Write(frame[i : i+1]); err != nil || pause(ctx, 20*time.Millisecond) != nil {
						return
					}
				}
			})
			return nil
		})
		defer done()
		if err != nil {
			return err
		}
		if err := p.hungUp(ctx, conns, since, p.order.Frame, tcp.ReasonFrameTimeout); err != nil {
			return err
		}
	}
	return nil
}

// neverRead sends lines and reads none of the echoes, until the server gives up.
func neverRead(ctx context.Context, p *badPeer) error {
	line := append(bytes.Repeat([]byte("y"), p.order.MaxFrame/2), '\n')
	var peers sync.WaitGroup
	errs := make([]error, p.r.size(4, 2))
	for i := range errs {
		peers.Go(func() {
			conn, err := p.dial(ctx, lines)
			if err != nil {
				errs[i] = err
				return
			}
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			_ = conn.SetReadBuffer(4 << 10)
			_ = conn.SetWriteDeadline(time.Now().Add(callbackPatience))
			for err == nil {
				_, err = conn.Write(line)
			}
			var timeout net.Error
			switch {
			case ctx.Err() != nil:
				errs[i] = context.Cause(ctx)
			case errors.As(err, &timeout) && timeout.Timeout():
				errs[i] = broken(boundedLateness, "after %v the server had not hung up; its write timeout is %v", callbackPatience, p.order.Write)
			}
			p.wants(conn.LocalAddr().String(), tcp.ReasonSlow)
		})
	}
	peers.Wait()
	return firstBroken(errs...)
}

// neverHandshake connects to the server of TLS and says nothing, or only the
// beginning of a greeting.
func neverHandshake(ctx context.Context, p *badPeer) error {
	conns, since, done, err := p.several(ctx, p.r.size(10, 3), secure, func(conn *net.TCPConn) error {
		_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1, 0}[:p.rand.IntN(8)]) // a ClientHello of 512 bytes
		return nil
	})
	defer done()
	if err != nil {
		return err
	}
	return p.hungUp(ctx, conns, since, p.order.Handshake, tcp.ReasonHandshake)
}
