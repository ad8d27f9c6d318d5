package demo

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
)

// client is one client. Its goroutine writes the record; read it when the goroutine
// has ended.
type client struct {
	local  string
	dialed time.Time // before the connection was asked for
	record
}

// record is what a client knows of its own session.
type record struct {
	silent     bool // meant to fall silent
	talking    bool // had not fallen silent when its connection ended
	sawClose   bool // saw the server close the connection
	err        error
	gap        time.Duration // longest between two messages that were echoed
	last       time.Time     // before the last message that was echoed; at first, before the dial
	unanswered struct{ before, after time.Time }
}

// run talks until the connection ends or, if the client is to fall silent, for a
// while, and then listens.
func (one *client) run(ctx context.Context, conn *echo.Client, c *clients, talk time.Duration) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	born := time.Now()
	body := []byte("hello from " + one.local)
	for {
		if err := one.say(conn, body); err != nil {
			return err
		}
		pause := c.cfg.interval()
		if one.silent {
			left := talk - time.Since(born)
			if left <= 0 {
				one.talking = false
				c.silenced()
				return conn.AwaitClose()
			}
			pause = min(pause, left)
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// say sends one message, reads its echo, and notes the time between messages.
func (one *client) say(conn *echo.Client, body []byte) error {
	before, after, err := conn.Send(body)
	if err != nil {
		return err
	}
	one.unanswered.before, one.unanswered.after = before, after
	if err := conn.Receive(); err != nil {
		return err
	}
	one.gap = max(one.gap, after.Sub(one.last))
	one.last = before
	one.unanswered.before, one.unanswered.after = time.Time{}, time.Time{}
	return nil
}

// longestGap is the longest time for which the server may have received nothing new
// from the client until it closed the session. A message counts if it had been sent
// by then, whether it was echoed or not.
func (r record) longestGap(closed time.Time) time.Duration {
	gap, last := r.gap, r.last
	if u := r.unanswered; !u.after.IsZero() && u.after.Before(closed) {
		gap, last = max(gap, u.after.Sub(last)), u.before
	}
	return max(gap, closed.Sub(last))
}
