package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/lab/bench/timers"
)

const (
	freezeIdle   = 2 * time.Second
	freezeFor    = 2 * freezeIdle
	sendInterval = freezeIdle / 10

	// freezeTimeout bounds the wait for the closing of the silent peers, and each
	// peer's wait for the server's first byte.
	freezeTimeout = 10 * time.Second
)

// freezePeerCounts returns the numbers of peers that send and that do not.
func freezePeerCounts(c Case) (senders, silent int) {
	return c.scaled(200, 40), c.scaled(20, 10)
}

// freezeServe runs a server that closes only idle sessions. It sends its address
// to the parent, answers what peers send, and ends with its input.
func freezeServe(_ context.Context, c Case) (Figures, string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	senders, silent := freezePeerCounts(c)
	serve, err := freezeServer(c, senders+silent)
	if err != nil {
		return nil, "", err
	}
	go func() { // until the process ends
		for id := int64(0); ; id++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(id, conn)
		}
	}()
	longest := watchGaps()
	if err := writeMessage(os.Stdout, message{Addr: ln.Addr().String()}); err != nil {
		return nil, "", err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return Figures{frozen: millis(longest())}, "", err
}

// watchGaps starts a goroutine that records the longest time in which it did not
// run. It runs until the process ends.
func watchGaps() (longest func() time.Duration) {
	var most atomic.Int64
	go func() {
		for last := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			storeMax(&most, int64(time.Since(last)))
			last = time.Now()
		}
	}()
	return func() time.Duration { return time.Duration(most.Load()) }
}

// freezeServer returns the function that serves one connection. IDs are 0 to n-1.
func freezeServer(c Case, n int) (serve func(id int64, conn net.Conn), err error) {
	if c.Impl == Deadline {
		return func(_ int64, conn net.Conn) {
			defer conn.Close()
			buf := make([]byte, 512)
			for {
				if conn.SetReadDeadline(time.Now().Add(freezeIdle)) != nil {
					return
				}
				if _, err := conn.Read(buf); err != nil {
					return
				}
				_, _ = conn.Write(buf[:1]) // the next read fails too
			}
		}, nil
	}
	conns := make([]net.Conn, n)
	s, err := newSessions(c, timers.Config{N: n, Idle: freezeIdle, Keep: true, Expired: func(id int64) {
		_ = conns[id].Close() // the session has ended in any case
	}})
	if err != nil {
		return nil, err
	}
	return func(id int64, conn net.Conn) {
		conns[id] = conn
		s.Register(id, freezeIdle)
		buf := make([]byte, 512)
		for {
			if _, err := conn.Read(buf); err != nil {
				return // the timer or the peer closed it
			}
			s.Touch(id)
			_, _ = conn.Write(buf[:1]) // the next read fails too
		}
	}, nil
}

// errThaw is returned if the server's process ended during the freeze.
var errThaw = errors.New("faults: the server ended during the freeze")

// freezePeers connects to the server, stops its process while the senders send,
// and counts the peers that the server closed.
func freezePeers(ctx context.Context, c Case, p *process) (Figures, error) {
	addr, err := p.addr()
	if err != nil {
		return nil, err
	}
	clients := &freezeClients{ctx: ctx, addr: addr}
	defer clients.close()
	nSenders, nSilent := freezePeerCounts(c)
	sending, err := clients.connect(nSenders, true)
	if err != nil {
		return nil, err
	}
	time.Sleep(freezeIdle) // each sender has been active for longer than the timeout
	before := sending.closed.Load()
	waiting, err := clients.connect(nSilent, false)
	if err != nil {
		return nil, err
	}
	time.Sleep(freezeIdle / 4)
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return nil, errors.Join(errThaw, err)
	}
	sleep(ctx, freezeFor)
	thawed := time.Now()
	if err := p.signal(syscall.SIGCONT); err != nil {
		return nil, errors.Join(errThaw, err)
	}
	for int(waiting.closed.Load()) < nSilent && time.Since(thawed) < freezeTimeout && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	sleep(ctx, freezeIdle/2) // senders that were closed see it
	f := Figures{
		senders: float64(nSenders), wrong: float64(sending.closed.Load()),
		silents: float64(nSilent), silent: float64(waiting.closed.Load()),
		"closed before the freeze": float64(before),
		sendGap:                    millis(time.Duration(sending.gap.Load())),
	}
	if last := waiting.last.Load(); last != nil {
		f[thaw] = millis(last.Sub(thawed))
	}
	return f, ctx.Err()
}

// sleep sleeps for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// freezeClients is the server's peers.
type freezeClients struct {
	ctx  context.Context
	addr string
	all  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	conns  []net.Conn
	closed bool // by close
}

// freezeGroup counts the peers of one kind that the server has closed.
type freezeGroup struct {
	closed atomic.Int64
	last   atomic.Pointer[time.Time] // the latest closing
	gap    atomic.Int64              // the longest time between two sends of a sender
}

// connect connects n peers. Each writes a byte and reads the answer. Senders go on
// writing until the server closes them.
func (fc *freezeClients) connect(n int, sending bool) (*freezeGroup, error) {
	g := new(freezeGroup)
	d := net.Dialer{Timeout: freezeTimeout}
	for i := range n {
		conn, err := d.DialContext(fc.ctx, "tcp", fc.addr)
		if err != nil {
			return nil, fmt.Errorf("faults: peer %d of %d: %w", i+1, n, err)
		}
		fc.mu.Lock()
		fc.conns = append(fc.conns, conn)
		fc.mu.Unlock()
		r := bufio.NewReader(conn)
		sent := time.Now()
		_ = conn.SetReadDeadline(sent.Add(freezeTimeout)) // the read would fail too
		if _, err := conn.Write([]byte{'x'}); err != nil {
			return nil, fmt.Errorf("faults: peer %d of %d: %w", i+1, n, err)
		}
		if _, err := r.ReadByte(); err != nil {
			return nil, fmt.Errorf("faults: peer %d of %d: %w", i+1, n, err)
		}
		_ = conn.SetReadDeadline(time.Time{}) // the next read would fail too
		fc.all.Go(func() {
			_, _ = io.Copy(io.Discard, r) // until the server closes, or close
			fc.recordClosed(g)
		})
		if sending {
			fc.all.Go(func() {
				for time.Sleep(sendInterval); ; time.Sleep(sendInterval) {
					storeMax(&g.gap, int64(time.Since(sent)))
					sent = time.Now()
					if _, err := conn.Write([]byte{'x'}); err != nil {
						return
					}
				}
			})
		}
	}
	return g, nil
}

// recordClosed records that the server has closed a peer.
func (fc *freezeClients) recordClosed(g *freezeGroup) {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	if fc.closed {
		return
	}
	now := time.Now()
	g.last.Store(&now)
	g.closed.Add(1)
}

// close closes all connections and waits for the peers' goroutines.
func (fc *freezeClients) close() {
	fc.mu.Lock()
	fc.closed = true
	for _, conn := range fc.conns {
		_ = conn.Close() // the server may have closed it already
	}
	fc.mu.Unlock()
	fc.all.Wait()
}
