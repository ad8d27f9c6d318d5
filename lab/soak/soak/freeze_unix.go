//go:build unix

package soak

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// A server is stopped for longer than its idle timeout, once or twice, while
// some peers send all the time and others are silent.
func freezeRound(ctx context.Context, r *Run) error {
	f := freeze{r: r, idle: r.between(time.Second, 1500*time.Millisecond)}
	c, err := startChild(ctx, "", "server", serverOrder{
		Idle: r.given(f.idle), Frame: -1, Write: -1, Handshake: -1,
	})
	if err != nil {
		return err
	}
	defer c.kill()
	var hello serverHello
	if err := c.hear(&hello); err != nil {
		return err
	}
	defer f.peers.Wait()
	defer f.hangUp()
	if err := f.connect(ctx, hello.Addrs[lines], r.size(60, 20), r.size(20, 6)); err != nil {
		return err
	}
	if err := f.freezeAndThaw(ctx, c); err != nil {
		return err
	}
	silent := f.awaitSilent(ctx)
	f.stopping.Store(true)
	var rep serverReport
	if err := c.ask(serverDo{doEnd}, &rep); err != nil {
		return err
	}
	if err := c.wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f.judge(rep, silent)
}

// freeze is one round.
type freeze struct {
	r        *Run
	idle     time.Duration
	peers    sync.WaitGroup
	conns    []net.Conn
	senders  []*freezeSender
	quiet    []net.Conn
	stopping atomic.Bool // what ends from now on is no surprise
	froze    time.Duration
	thaw     time.Time // the last
}

// freezeSender is a peer that sends all the time.
type freezeSender struct {
	addr string
	gap  atomic.Int64 // the longest between two messages
}

// connect dials all peers. The senders send until they are hung up on.
func (f *freeze) connect(ctx context.Context, addr string, senders, silent int) error {
	for i := range senders + silent {
		var conn net.Conn
		var began time.Time
		err := f.r.patiently(ctx, f.r.given(f.idle), func() (err error) {
			began = time.Now()
			conn, err = f.greet(ctx, addr)
			return err
		})
		if err != nil {
			return err
		}
		if i >= senders {
			f.quiet = append(f.quiet, conn)
			continue
		}
		s := &freezeSender{addr: conn.LocalAddr().String()}
		f.senders = append(f.senders, s)
		f.peers.Go(func() { f.send(s, conn, began) })
		f.peers.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // ends with the connection
	}
	return nil
}

// greet dials a peer and has a first message echoed.
func (f *freeze) greet(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := dialServer(ctx, addr)
	if err != nil {
		return nil, err
	}
	f.conns = append(f.conns, conn)
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return nil, broken(accepting, "a new session failed: %v", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(callbackPatience))
	if _, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil {
		return nil, broken(accepting, "a new session is not answered: %v", err)
	}
	return conn, conn.SetReadDeadline(time.Time{})
}

// send sends until it is hung up on. The peer began to connect at the given time.
func (f *freeze) send(s *freezeSender, conn net.Conn, last time.Time) {
	for {
		if _, err := io.WriteString(conn, "on\n"); err != nil {
			return
		}
		now := time.Now()
		s.gap.Store(max(s.gap.Load(), int64(now.Sub(last))))
		last = now
		f.r.count(1)
		time.Sleep(f.idle / 12)
	}
}

func (f *freeze) hangUp() {
	for _, conn := range f.conns {
		_ = conn.Close() // it may have been closed by the server
	}
}

// freezeAndThaw stops the child and continues it, and sometimes does so again.
func (f *freeze) freezeAndThaw(ctx context.Context, c *child) error {
	times := 1
	if f.r.rand.IntN(3) == 0 {
		times = 2
	}
	// The silent ones are close to their end when it begins.
	if err := pause(ctx, f.r.between(f.idle*5/8, f.idle*7/8)); err != nil {
		return err
	}
	for i := range times {
		if i > 0 {
			if err := pause(ctx, f.r.between(f.idle/2, f.idle)); err != nil {
				return err
			}
		}
		length := f.r.between(f.idle*6/5, f.idle*5/2)
		f.froze += length
		if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return c.died(err)
		}
		if err := pause(ctx, length); err != nil {
			return err
		}
		f.thaw = time.Now()
		if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return c.died(err)
		}
	}
	return nil
}

// awaitSilent waits until the silent peers are hung up on, and returns how long
// after the thaw the last was.
func (f *freeze) awaitSilent(ctx context.Context) (last time.Duration) {
	stop := context.AfterFunc(ctx, f.hangUp)
	defer stop()
	for _, conn := range f.quiet {
		_ = conn.SetReadDeadline(time.Now().Add(callbackPatience))
		_, _ = conn.Read(make([]byte, 1)) // whatever it says, the server's own report is judged
	}
	last = time.Since(f.thaw)
	time.Sleep(f.idle / 4) // for a sender to be hung up on that must not be
	return last
}

func (f *freeze) judge(rep serverReport, silent time.Duration) error {
	ended := make(map[string]sessionSeen)
	for _, s := range rep.Sessions {
		ended[s.Remote] = s
		if after := s.Ended - s.Active; s.Reason == pool.Timeout && after < f.idle {
			return broken(neverEarly, "a session timed out %v after its last activity; its idle timeout is %v", after, f.idle)
		}
	}
	starved := 0
	for _, s := range f.senders {
		switch seen, ok := ended[s.addr]; {
		case !ok:
			return broken(nothingLost, "OnSessionClosed was not called for a session")
		case time.Duration(s.gap.Load()) > f.idle/2:
			starved++ // this machine did not let it send in time
		case seen.Reason != pool.Shutdown:
			return broken(forgiven, "one of %d, which sent every %v, ended with %q; frozen for %v, idle timeout %v",
				len(f.senders), f.idle/12, seen.Reason, f.froze, f.idle)
		}
	}
	for _, conn := range f.quiet {
		if seen := ended[conn.LocalAddr().String()]; seen.Reason != pool.Timeout {
			return broken(thawed, "%v after the thaw a silent session had not timed out; it ended with %q", silent, seen.Reason)
		}
	}
	if most := allowed(time.Second, f.r.delay.delay()); silent > most {
		return broken(thawed, "the last was closed %v after the thaw, where %v are allowed", silent, most)
	}
	f.r.late(silent)
	return rep.judge()
}
