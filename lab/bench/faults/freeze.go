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
	freezeIdle  = 2 * time.Second
	freezeFor   = 2 * freezeIdle
	freezeEvery = freezeIdle / 10 // how often a sender sends

	// freezePatience is how long after the thaw silent peers are waited for, and
	// how long a peer waits for its server's first byte.
	freezePatience = 10 * time.Second
)

// freezePeerCounts is how many senders and silent ones there are.
func freezePeerCounts(c Case) (senders, silent int) {
	return c.scaled(200, 40), c.scaled(20, 10)
}

// freezeServe is a server that ends nobody but idle sessions. It tells its
// address, answers the first byte of each peer, and ends with its input.
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
	go func() { // ends with the process
		for id := int64(0); ; id++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(id, conn)
		}
	}()
	longest := watchGaps()
	if err := tell(os.Stdout, message{Addr: ln.Addr().String()}); err != nil {
		return nil, "", err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return Figures{frozen: millis(longest())}, "", err
}

// watchGaps starts a goroutine that notes the longest time in which it did not
// run. It ends with the process.
func watchGaps() (longest func() time.Duration) {
	var most atomic.Int64
	go func() {
		for last := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			raise(&most, int64(time.Since(last)))
			last = time.Now()
		}
	}()
	return func() time.Duration { return time.Duration(most.Load()) }
}

// freezeServer makes the func that serves one connection: the IDs are 0 to n-1.
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
				_, _ = conn.Write(buf[:1]) // the next read tells
			}
		}, nil
	}
	conns := make([]net.Conn, n)
	s, err := newKeeper(c, timers.Config{N: n, Idle: freezeIdle, Keep: true, Expired: func(id int64) {
		_ = conns[id].Close() // it is gone either way
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
				return // the timer closes it, or the peer did
			}
			s.Touch(id)
			_, _ = conn.Write(buf[:1]) // the next read tells
		}
	}, nil
}

// errThaw says that the server was gone before it was thawed.
var errThaw = errors.New("faults: the server did not live to see the end of the freeze")

// freezePeers connects to the server, stops its process while all senders send,
// and counts whom it closed.
func freezePeers(ctx context.Context, c Case, p *process) (Figures, error) {
	addr, err := p.addr()
	if err != nil {
		return nil, err
	}
	crowd := &freezeCrowd{ctx: ctx, addr: addr}
	defer crowd.leave()
	nSenders, nSilent := freezePeerCounts(c)
	sending, err := crowd.join(nSenders, true)
	if err != nil {
		return nil, err
	}
	time.Sleep(freezeIdle) // each has sent for longer than it may be idle
	before := sending.closed.Load()
	silentOnes, err := crowd.join(nSilent, false)
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
	for int(silentOnes.closed.Load()) < nSilent && time.Since(thawed) < freezePatience && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	sleep(ctx, freezeIdle/2) // senders that are closed hear of it
	f := Figures{
		senders: float64(nSenders), wrong: float64(sending.closed.Load()),
		silents: float64(nSilent), silent: float64(silentOnes.closed.Load()),
		"closed before the freeze": float64(before),
	}
	if last := silentOnes.last.Load(); last != nil {
		f[thaw] = millis(last.Sub(thawed))
	}
	return f, ctx.Err()
}

// sleep returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// freezeCrowd is all the peers.
type freezeCrowd struct {
	ctx  context.Context
	addr string
	all  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	conns []net.Conn
	left  bool
}

// freezeGroup counts those of one kind that the server has closed.
type freezeGroup struct {
	closed atomic.Int64
	last   atomic.Pointer[time.Time]
}

// join connects n peers. Each writes once and reads the answer; senders go on
// writing until the server closes them.
func (fc *freezeCrowd) join(n int, sending bool) (*freezeGroup, error) {
	g := new(freezeGroup)
	d := net.Dialer{Timeout: freezePatience}
	for i := range n {
		conn, err := d.DialContext(fc.ctx, "tcp", fc.addr)
		if err != nil {
			return nil, fmt.Errorf("faults: peer %d of %d: %w", i+1, n, err)
		}
		fc.mu.Lock()
		fc.conns = append(fc.conns, conn)
		fc.mu.Unlock()
		r := bufio.NewReader(conn)
		_ = conn.SetReadDeadline(time.Now().Add(freezePatience)) // the read would tell
		if _, err := conn.Write([]byte{'x'}); err != nil {
			return nil, fmt.Errorf("faults: peer %d of %d: %w", i+1, n, err)
		}
		if _, err := r.ReadByte(); err != nil {
			return nil, fmt.Errorf("faults: peer %d of %d: %w", i+1, n, err)
		}
		_ = conn.SetReadDeadline(time.Time{}) // the next read would tell
		fc.all.Go(func() {
			_, _ = io.Copy(io.Discard, r) // until the server closes, or leave
			fc.gone(g)
		})
		if sending {
			fc.all.Go(func() {
				for time.Sleep(freezeEvery); ; time.Sleep(freezeEvery) {
					if _, err := conn.Write([]byte{'x'}); err != nil {
						return
					}
				}
			})
		}
	}
	return g, nil
}

// gone notes that the server has closed a peer.
func (fc *freezeCrowd) gone(g *freezeGroup) {
	fc.mu.Lock()
	defer fc.mu.Unlock()
	if fc.left {
		return
	}
	now := time.Now()
	g.last.Store(&now)
	g.closed.Add(1)
}

// leave closes all connections and waits for the peers' goroutines.
func (fc *freezeCrowd) leave() {
	fc.mu.Lock()
	fc.left = true
	for _, conn := range fc.conns {
		_ = conn.Close() // it is gone either way
	}
	fc.mu.Unlock()
	fc.all.Wait()
}
