package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/sessionwheel/sessionwheel/pool"
)

const (
	maxSessions = 10_000
	maxMessage  = 4096 // bytes
)

var validName = regexp.MustCompile(`^[\p{L}\p{Nd}_-]{1,20}$`)

// session is somebody in a room, whom the pool knows by name.
type session = pool.Session[string, *peer]

// chat is the server.
type chat struct {
	log          *slog.Logger
	writeTimeout time.Duration // for one message
	pongWait     time.Duration // from a ping to the timeout
	farewellTime time.Duration // for a close frame to be sent and answered
	sessions     *pool.Pool[string, *peer]
	rooms        rooms
	handlers     sync.WaitGroup // calls of join
}

func newChat(timeout time.Duration, log *slog.Logger) (*chat, error) {
	c := &chat{
		log:          log,
		writeTimeout: 10 * time.Second,
		pongWait:     min(10*time.Second, timeout/2),
		farewellTime: time.Second,
	}
	var err error
	c.sessions, err = pool.New(pool.Config[string, *peer]{
		IdleTimeout:          timeout,
		IdleWarning:          c.pongWait,
		MaxSessions:          maxSessions,
		OnDuplicate:          pool.Replace,
		OnNewSessionRegister: c.welcome,
		OnIdle:               func(s *session) { s.Conn().wantPing() },
		OnSessionClosed:      c.bye,
	})
	return c, err
}

// server is an HTTP server that shutdown ends.
func (c *chat) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chat", c.join)
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /{file}", servePage)
	return &http.Server{Handler: mux, ConnContext: keepConn, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
}

type connKey struct{}

// keepConn keeps the connection beneath the WebSocket for join.
func keepConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// join is a login: GET /chat?room=...&name=... becomes a WebSocket. It returns
// when the session has ended.
func (c *chat) join(w http.ResponseWriter, r *http.Request) {
	c.handlers.Add(1)
	defer c.handlers.Done()
	name, room := r.FormValue("name"), r.FormValue("room")
	if !validName.MatchString(name) || !validName.MatchString(room) {
		http.Error(w, fmt.Sprintf("name %.80q, room %.80q: each must be 1 to 20 letters, digits, - or _", name, room), http.StatusBadRequest)
		return
	}
	p := &peer{
		room:  room,
		conn:  r.Context().Value(connKey{}).(net.Conn),
		queue: make(chan []byte, queueLength),
		ping:  make(chan struct{}, 1),
	}
	var err error
	p.ws, err = websocket.Accept(w, r, &websocket.AcceptOptions{OnPongReceived: p.pong})
	if err != nil { // Accept has answered: a page of another origin is not let in, for one
		return
	}
	s, err := c.sessions.Register(name, p)
	if err != nil {
		p.farewell(reasonOf(err), c.farewellTime)
		return
	}
	var writer sync.WaitGroup
	writer.Go(func() { c.write(s) })
	s.Close(c.read(s))
	writer.Wait()
}

// welcome runs before bye, however soon the session ends.
func (c *chat) welcome(s *session) {
	s.Conn().session = s
	c.rooms.enter(s)
	c.tell(s, event{Kind: "joined"})
	c.log.Info("joined", "name", s.ID(), "room", s.Conn().room)
}

// bye tells the room first: the farewell may take a moment.
func (c *chat) bye(s *session, r pool.Reason) {
	c.log.Info("left", "name", s.ID(), "room", s.Conn().room, "reason", r)
	c.rooms.leave(s)
	if r != pool.Shutdown { // then everybody leaves
		c.tell(s, event{Kind: "left", Text: string(r)})
	}
	s.Conn().farewell(r, c.farewellTime)
}

// read passes on what the peer says, and returns why that ended.
func (c *chat) read(s *session) pool.Reason {
	for {
		kind, r, err := s.Conn().ws.Reader(context.Background())
		if err != nil {
			return reasonOf(err)
		}
		text, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
		switch {
		case err != nil:
			return reasonOf(err)
		case len(text) > maxMessage:
			return tooLarge
		case kind != websocket.MessageText || !utf8.Valid(text):
			return notText
		case !s.Touch():
			return s.Reason()
		}
		if said := strings.TrimSpace(string(text)); said != "" {
			c.tell(s, event{Kind: "said", Text: said})
		}
	}
}

// shutdown says goodbye to everybody, then ends the HTTP server, and waits for
// all that served somebody.
func (c *chat) shutdown(ctx context.Context, sv *http.Server) error {
	err := errors.Join(c.sessions.Shutdown(ctx), sv.Shutdown(ctx))
	if err == nil {
		c.handlers.Wait()
	}
	return err
}
