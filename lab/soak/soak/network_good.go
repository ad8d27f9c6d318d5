package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// goodEvery is how often a well-behaved peer sends.
const goodEvery = 10 * time.Millisecond

// goodPeer sends a message every ten milliseconds and reads its echo. A round trip
// that is held up holds up the messages that were due meanwhile, so the figures have
// a round trip for each of them too.
type goodPeer struct {
	r         *Run
	kind      string
	conn      net.Conn
	disturbed atomic.Bool

	// Of the goroutine that talks; read them when it has ended.
	err          error
	sent         int
	last         time.Time       // when it began to send the last message, or to connect
	calm, rough  []time.Duration // round trips before and since disturbed was set
	gap          atomic.Int64    // the longest time between two messages
	wire, answer []byte
}

// newGoodPeer connects and has one message echoed.
func newGoodPeer(ctx context.Context, r *Run, kind, addr string) (*goodPeer, error) {
	began := time.Now()
	conn, err := dialServer(ctx, addr)
	if err != nil {
		return nil, err
	}
	g := &goodPeer{r: r, kind: kind, conn: conn, last: began}
	if kind == secure {
		g.conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the certificate is made for the round
	}
	if err := g.greet(ctx); err != nil {
		_ = conn.Close()
		return nil, broken(accepting, "%s: %v", kind, err)
	}
	return g, nil
}

// greet has one message echoed.
func (g *goodPeer) greet(ctx context.Context) error { return g.until(ctx, g.say) }

// until does something that the end of ctx cuts short.
func (g *goodPeer) until(ctx context.Context, do func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = g.conn.SetDeadline(time.Now()) })
	defer stop()
	return do()
}

// say has one message echoed.
func (g *goodPeer) say() error {
	if err := g.ask(); err != nil {
		return err
	}
	return g.hear()
}

// ask sends one message.
func (g *goodPeer) ask() error {
	body := fmt.Appendf(nil, "%s %d %s", g.kind, g.sent, "abcdefghijklmnopqrstuvwxyz"[:g.sent%26])
	if g.kind == frames {
		g.wire, _ = tcp.AppendFrame(g.wire[:0], body) // it is short enough
	} else {
		g.wire = append(append(g.wire[:0], body...), '\n')
	}
	_ = g.conn.SetDeadline(time.Now().Add(callbackPatience))
	_, err := g.conn.Write(g.wire)
	return err
}

// hear reads its echo.
func (g *goodPeer) hear() error {
	_ = g.conn.SetDeadline(time.Now().Add(callbackPatience))
	g.answer = append(g.answer[:0], g.wire...)
	clear(g.answer)
	if _, err := io.ReadFull(g.conn, g.answer); err != nil {
		return err
	}
	if !bytes.Equal(g.answer, g.wire) {
		return fmt.Errorf("%q came back as %q", g.wire, g.answer)
	}
	g.sent++
	g.r.count(1)
	return nil
}

// talk sends until ctx ends or something fails.
func (g *goodPeer) talk(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now()
		g.gap.Store(max(g.gap.Load(), int64(now.Sub(g.last))))
		g.last = now
		if g.err = g.say(); g.err != nil {
			return
		}
		figures := &g.calm
		if g.disturbed.Load() {
			figures = &g.rough
		}
		d := time.Since(now)
		for held := d; held > 0; held -= goodEvery {
			*figures = append(*figures, held)
		}
		if pause(ctx, goodEvery-d) != nil {
			return
		}
	}
}

// starved tells whether this machine did not let the peer talk in time, so that
// the server may have timed it out.
func (g *goodPeer) starved(idle time.Duration) bool {
	return time.Duration(g.gap.Load()) > idle/2
}

// judge is called when it talks no more; delay is the scheduler's on the other
// side. What is allowed is a multiple of the peer's own undisturbed round trips,
// beside the slack.
func (g *goodPeer) judge(delay, idle time.Duration) error {
	if g.err != nil && !g.starved(idle) {
		return broken(unharmed, "%s, after %d messages: %v", g.kind, g.sent, g.err)
	}
	delay = max(delay, g.r.delay.delay())
	for _, p := range []int{50, 90} {
		calm, rough := percentile(g.calm, p), percentile(g.rough, p)
		most := 20*calm + slack/3 + turns*delay
		if rough > most {
			return broken(undelayed, "%s: the p%d is %v, where %v are allowed; undisturbed it is %v", g.kind, p, rough, most, calm)
		}
		if p == 90 {
			g.r.late(rough)
		}
	}
	return nil
}

// dialServer connects to a child's server, which must be there.
func dialServer(ctx context.Context, addr string) (*net.TCPConn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("dialing a child: %w", err)
	}
	return conn.(*net.TCPConn), nil
}
