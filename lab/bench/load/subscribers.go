package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sequenceAt is where a message has its number: behind the header of its frame.
const sequenceAt = 4

// Message writes the number of a message into its frame, which has a body of 8 bytes at
// least.
func Message(frame []byte, number uint64) {
	binary.BigEndian.PutUint64(frame[sequenceAt:], number)
}

// Subscribers are connections that read messages of one size, which are numbered from 0.
type Subscribers struct {
	conns     Conns
	size      int
	running   sync.WaitGroup
	delivered atomic.Int64
	target    atomic.Int64  // of Wait
	reached   chan struct{} // has room for one value: delivered has reached target
	lost      atomic.Int64
	closing   atomic.Bool
}

// Subscribe opens n connections and reads from them until Close.
func Subscribe(ctx context.Context, addr string, n, size int) (*Subscribers, error) {
	conns, err := Connect(ctx, addr, n)
	if err != nil {
		return nil, err
	}
	s := &Subscribers{conns: conns, size: size, reached: make(chan struct{}, 1)}
	for _, c := range conns {
		s.running.Go(func() { // until Close, or until the server closes the connection
			s.read(c)
			if !s.closing.Load() {
				s.lost.Add(1)
			}
		})
	}
	return s, nil
}

// Connect opens n connections that neither send nor read.
func Connect(ctx context.Context, addr string, n int) (Conns, error) {
	d := net.Dialer{Timeout: ioTimeout}
	conns := make(Conns, 0, n)
	for range n {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			conns.Close()
			return nil, fmt.Errorf("load: connection %d of %d (is ulimit -n high enough?): %w", len(conns)+1, n, err)
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// read returns when the connection is closed or has missed a message.
func (s *Subscribers) read(c net.Conn) {
	r := bufio.NewReaderSize(c, max(32<<10, s.size))
	for want := uint64(0); ; want++ {
		head, err := r.Peek(s.size)
		if err != nil || binary.BigEndian.Uint64(head[sequenceAt:]) != want {
			return
		}
		_, _ = r.Discard(s.size) // it is there
		if s.delivered.Add(1) == s.target.Load() {
			s.signal()
		}
	}
}

func (s *Subscribers) signal() {
	select {
	case s.reached <- struct{}{}:
	default:
	}
}

// Len returns the number of connections, those that are lost included.
func (s *Subscribers) Len() int { return len(s.conns) }

// Delivered returns how many messages have arrived, each in order, at all connections
// together.
func (s *Subscribers) Delivered() int { return int(s.delivered.Load()) }

// Lost returns the number of connections that the server has closed, or that have missed a
// message.
func (s *Subscribers) Lost() int { return int(s.lost.Load()) }

// Wait waits until n messages have arrived at all connections together. It reports false
// if that takes longer than patience.
func (s *Subscribers) Wait(ctx context.Context, n int, patience time.Duration) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	s.target.Store(int64(n))
	for s.Delivered() < n {
		select {
		case <-s.reached: // or an earlier target was
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Close resets the connections.
func (s *Subscribers) Close() {
	s.closing.Store(true)
	s.conns.Close()
	s.running.Wait()
}
