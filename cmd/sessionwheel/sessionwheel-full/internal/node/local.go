package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/serve"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// local is the sessions of serve, as its node in the cluster reaches them.
type local struct {
	server *tcp.Server
	proto  echo.Protocol
}

var _ cluster.Local = (*local)(nil)

// Close closes a session, as cluster.Local says.
func (l *local) Close(ctx context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	return l.server.CloseToken(ctx, id, token, why)
}

// Deliver sends a message to a session's peer, as cluster.Local says, after the
// answer to the peer's login.
func (l *local) Deliver(ctx context.Context, id string, token uint64, msg []byte) (bool, error) {
	s, ok := l.server.Bound(id)
	if !ok || s.Token() != token {
		return false, nil
	}
	select {
	case <-s.Value().(*serve.Session).Greeted():
	case <-ctx.Done():
		return false, ctx.Err()
	}
	wire, err := l.proto.AppendOne(nil, msg)
	return err == nil && s.Send(wire) == nil, nil
}

// reception has sessions log in: a session's first message may be "login NAME",
// and binds it to NAME. The answer is "ok" or "error: " and why; after an error
// the next message may be a login again. All other messages are the echo server's.
type reception struct {
	ctx   context.Context // ends what a login waits for
	limit time.Duration   // for one login
	proto echo.Protocol
	log   *slog.Logger
}

// open puts the reception before a server of package serve.
func (r *reception) open(srv *tcp.Server) {
	r.log = pool.LimitLog(r.log)
	message, closed := srv.OnMessage, srv.OnSessionClosed
	srv.OnMessage = func(s *tcp.Session, body []byte) {
		e := s.Value().(*serve.Session)
		if name, ok := r.asks(e, body); ok {
			r.login(s, e, name)
			return
		}
		e.Past = true
		message(s, body)
	}
	srv.OnSessionClosed = func(s *tcp.Session, reason pool.Reason) {
		s.Value().(*serve.Session).Greet()
		closed(s, reason)
	}
}

// asks reports whether a message is a login, and under which name.
func (r *reception) asks(e *serve.Session, body []byte) (name string, ok bool) {
	word, rest, _ := bytes.Cut(body, []byte(" "))
	return strings.TrimSpace(string(rest)), !e.Past && string(word) == "login"
}

// errName is the answer to a login under a name that could not be shown.
var errName = errors.New("a name is printable text: login NAME")

// login binds the session and answers. It waits until an earlier session of that
// name is closed; the session does not count as idle then.
func (r *reception) login(s *tcp.Session, e *serve.Session, name string) {
	defer s.Hold()()
	began := time.Now()
	err := errName
	if name != "" && console.Clean(name) == name {
		ctx, cancel := context.WithTimeout(r.ctx, r.limit)
		err = s.Bind(ctx, name, []byte(s.RemoteAddr().String()))
		cancel()
	}
	answer := "ok"
	if err != nil {
		answer = "error: " + console.OneLine(err)
		r.log.Info("login refused", "session", s.ID(), "name", name, "error", err)
	} else {
		e.Past = true
		r.log.Info("login", "session", s.ID(), "name", name, "took", time.Since(began).Round(time.Microsecond))
	}
	wire, err := r.proto.Append(nil, []byte(answer))
	if err == nil {
		err = s.Send(wire)
	}
	if err != nil {
		r.log.Debug("not sent", "session", s.ID(), "error", err)
	}
	if e.Past {
		e.Greet()
	}
}
