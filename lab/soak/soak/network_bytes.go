package soak

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// lengths are the lengths of garbage to try: every small one, or some of them,
// and a few large ones.
func (p *badPeer) lengths() (all []int) {
	step := p.r.size(1, 23)
	for n := p.rand.IntN(step); n <= 300; n += step {
		all = append(all, n)
	}
	for range p.r.size(20, 4) {
		all = append(all, p.rand.IntN(3*p.order.MaxFrame))
	}
	return all
}

// garbageLines sends random bytes to the server of lines.
func garbageLines(ctx context.Context, p *badPeer) error {
	for _, n := range p.lengths() {
		sent := p.random(n)
		if err := p.exchange(ctx, lines, sent); err != nil {
			return err
		}
	}
	return nil
}

// garbageFrames sends random bytes to the server of frames, after some whole
// frames or none.
func garbageFrames(ctx context.Context, p *badPeer) error {
	for i, n := range p.lengths() {
		var sent []byte
		for range i % 3 {
			sent, _ = tcp.AppendFrame(sent, p.random(p.rand.IntN(100))) // it is short enough
		}
		garbage := p.random(n)
		if n >= 4 && i%2 == 0 { // a header that is right, and a length that may not be
			garbage[0], garbage[3] = '$', '#'
			binary.BigEndian.PutUint16(garbage[1:], uint16(p.rand.IntN(1<<16)))
		}
		if err := p.exchange(ctx, frames, append(sent, garbage...)); err != nil {
			return err
		}
	}
	return nil
}

// cutFrames sends frames up to each of their bytes, and then ends, resets, or
// waits a little and goes on.
func cutFrames(ctx context.Context, p *badPeer) error {
	var whole []byte
	for _, n := range []int{0, 1, 7} {
		whole, _ = tcp.AppendFrame(whole, p.random(n)) // it is short enough
	}
	for cut := range len(whole) + 1 {
		if err := p.exchange(ctx, frames, whole[:cut]); err != nil {
			return err
		}
		if err := p.exchange(ctx, frames, whole, cut); err != nil {
			return err
		}
		conn, err := p.dial(ctx, frames)
		if err != nil {
			return err
		}
		_, _ = conn.Write(whole[:cut])
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
	return nil
}

// exchange sends bytes, with a pause before those of the given indexes, ends its
// side, and compares what comes back with what must.
func (p *badPeer) exchange(ctx context.Context, kind string, sent []byte, pauses ...int) error {
	return p.r.patiently(ctx, p.least, func() error { return p.exchangeOnce(ctx, kind, sent, pauses) })
}

func (p *badPeer) exchangeOnce(ctx context.Context, kind string, sent []byte, pauses []int) error {
	want, reason := echoesOfLines(sent, p.order.MaxFrame)
	if kind == frames {
		want, reason = echoesOfFrames(sent, p.order.MaxFrame)
	}
	conn, err := p.dial(ctx, kind)
	if err != nil {
		return err
	}
	defer conn.Close()
	remote := conn.LocalAddr().String()
	began := time.Now()
	writing := make(chan struct{})
	go func() { // ends when all is sent or the connection is closed; waited for below
		defer close(writing)
		from := 0
		for _, at := range append(pauses, len(sent)) {
			if _, err := conn.Write(sent[from:at]); err != nil {
				return // the server did not want the rest
			}
			from = at
			if at < len(sent) {
				time.Sleep(2 * time.Millisecond)
			}
		}
		_ = conn.CloseWrite()
	}()
	e, err := p.awaitEnd(ctx, conn, began)
	_ = conn.Close()
	<-writing
	switch {
	case err != nil:
		return err
	// A server that closes with something unread resets, and echoes on their way
	// may be lost by that.
	case e.err != nil && (reason == tcp.ReasonEOF || !bytes.HasPrefix(want, e.read)),
		e.err == nil && !bytes.Equal(want, e.read):
		return broken(exactFrames, "%s: of %d bytes %d were to come back, and %d did, with %v", kind, len(sent), len(want), len(e.read), e.err)
	}
	p.wants(remote, reason)
	return nil
}

// echoesOfLines is what the server of lines must answer, and how the session
// must end. A last line need not end with a newline, and a carriage return
// before one is no part of it.
func echoesOfLines(sent []byte, maxFrame int) (want []byte, reason pool.Reason) {
	for len(sent) > 0 {
		line, rest, whole := bytes.Cut(sent, []byte("\n"))
		if len(line) >= maxFrame {
			return want, tcp.ReasonTooLarge
		}
		if whole || len(line) > 0 {
			want = append(append(want, bytes.TrimSuffix(line, []byte("\r"))...), '\n')
		}
		sent = rest
	}
	return want, tcp.ReasonEOF
}

// echoesOfFrames is the same for the server of frames. The bytes of a frame that
// is too large are not waited for.
func echoesOfFrames(sent []byte, maxFrame int) (want []byte, reason pool.Reason) {
	for rest := sent; len(rest) > 0; {
		switch size := 4; {
		case rest[0] != '$', len(rest) >= 4 && rest[3] != '#', len(rest) < 4:
			return want, tcp.ReasonBadFrame
		default:
			size += int(rest[1])<<8 + int(rest[2])
			switch {
			case size > maxFrame && len(rest) >= maxFrame:
				return want, tcp.ReasonTooLarge
			case size > len(rest):
				return want, tcp.ReasonBadFrame
			}
			want, rest = append(want, rest[:size]...), rest[size:]
		}
	}
	return want, tcp.ReasonEOF
}
