package nodes

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
)

// user is a client that has logged in, or tried. It serves one goroutine.
type user struct {
	name string
	conn *echo.Client
	in   *bufio.Reader
}

// enter connects to a node and logs in, and tells how long the answer took. With an
// error there may be a user too, whose connection is to be closed.
func enter(ctx context.Context, p *nodeProcess, name string) (*user, time.Duration, error) {
	conn, err := echo.Dial(ctx, p.addr, nil, echo.Lines)
	if err != nil {
		return nil, 0, fmt.Errorf("%s cannot connect to %s: %s", name, p.name, echo.Cause(err))
	}
	u := &user{name: name, conn: conn, in: bufio.NewReader(conn)}
	before, _, err := conn.Send([]byte("login " + name))
	if err != nil {
		return u, 0, fmt.Errorf("%s cannot log in on %s: %s", name, p.name, echo.Cause(err))
	}
	answer, err := u.line(ctx)
	took := time.Since(before)
	switch {
	case err != nil:
		return u, 0, fmt.Errorf("%s has no answer to its login on %s: %s", name, p.name, echo.Cause(err))
	case answer != "ok":
		return u, 0, fmt.Errorf("%s logs in on %s: %s", name, p.name, answer)
	}
	return u, took, nil
}

// line reads a line, for as long as ctx allows.
func (u *user) line(ctx context.Context) (string, error) {
	_ = u.conn.SetReadDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { _ = u.conn.SetReadDeadline(time.Now()) })()
	s, err := u.in.ReadString('\n')
	return strings.TrimSuffix(s, "\n"), err
}

// ended requires that the node p has closed the session for the given reason, and
// that its peer has seen it.
func (u *user) ended(ctx context.Context, p *nodeProcess, why string) error {
	switch s, err := u.line(ctx); {
	case err == nil:
		return fmt.Errorf("%s on %s should be closed, and got %q", u.name, p.name, s)
	case !echo.ClosedByPeer(err):
		return fmt.Errorf("%s on %s should be closed: %s", u.name, p.name, echo.Cause(err))
	}
	closed := func(e logged) bool { return e.Msg == "session closed" && e.Name == u.name }
	e, err := p.await(ctx, "the end of "+u.name, closed)
	if err == nil && e.Reason != why {
		err = fmt.Errorf("%s on %s was closed with %q and not with %q", u.name, p.name, e.Reason, why)
	}
	return err
}
