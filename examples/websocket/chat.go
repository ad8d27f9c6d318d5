package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionwheel/sessionwheel/pool"
)

const maxSessions = 10_000

var validName = regexp.MustCompile(`^[\p{L}\p{Nd}_-]{1,20}$`)

//go:embed index.html page.css page.js
var page embed.FS

// session is a user in a room. The user's name is its ID.
type session = pool.Session[string, *peer]

// chat is the chat server.
type chat struct {
	http         http.Server
	sessions     *pool.Pool[string, *peer]
	writeTimeout time.Duration  // for an event, and for a ping and its pong
	farewellTime time.Duration  // to send a close frame and receive the reply
	running      sync.WaitGroup // counts calls of join, and the writers and pings of their sessions
}

func newChat(timeout time.Duration, log *slog.Logger) (*chat, error) {
	c := &chat{writeTimeout: 10 * time.Second, farewellTime: time.Second}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", servePage)
	mux.HandleFunc("GET /chat", c.join)
	c.http = http.Server{Handler: mux, ConnContext: keepConn, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	var err error
	c.sessions, err = pool.New(pool.Config[string, *peer]{
		IdleTimeout:          timeout,
		IdleWarning:          min(10*time.Second, timeout/2),
		MaxSessions:          maxSessions,
		OnDuplicate:          pool.Replace,
		OnNewSessionRegister: func(s *session) { c.tell(s, "joined", "") },
		OnIdle:               func(s *session) { send(s, nil) },
		OnSessionClosed:      c.bye,
		Logger:               log,
	})
	return c, err
}

func servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'")
	http.FileServerFS(page).ServeHTTP(w, r)
}

// join handles a login: it upgrades GET /chat?room=...&name=... to a WebSocket. It
// returns when the session has ended.
func (c *chat) join(w http.ResponseWriter, r *http.Request) {
	c.running.Add(1)
	defer c.running.Done()
	name, room := r.FormValue("name"), r.FormValue("room")
	if !validName.MatchString(name) || !validName.MatchString(room) {
		http.Error(w, fmt.Sprintf("name %.80q, room %.80q: each must be 1 to 20 letters, digits, - or _", name, room), http.StatusBadRequest)
		return
	}
	p := &peer{room: room, conn: r.Context().Value(connKey{}).(net.Conn), queue: make(chan *event, queueLength)}
	pong := func(context.Context, []byte) {
		if s, found := c.sessions.Get(name); found && s.Conn() == p {
			s.Touch()
		}
	}
	var err error
	if p.ws, err = websocket.Accept(w, r, &websocket.AcceptOptions{OnPongReceived: pong}); err != nil {
		return // Accept has replied, for example to a page of another origin
	}
	s, err := c.sessions.Register(name, p)
	if err != nil {
		p.farewell(reasonOf(err), c.farewellTime)
		return
	}
	c.running.Go(func() { c.write(s) })
	s.Close(c.read(s))
}

// bye tells the room that a user has left, and then closes the WebSocket, which may
// take a moment.
func (c *chat) bye(s *session, r pool.Reason) {
	if r != pool.Shutdown { // all users leave then
		c.tell(s, "left", string(r))
	}
	s.Conn().farewell(r, c.farewellTime)
}

// shutdown closes all sessions, shuts the HTTP server down and waits for the
// goroutines of all sessions.
func (c *chat) shutdown(ctx context.Context) error {
	err := errors.Join(c.sessions.Shutdown(ctx), c.http.Shutdown(ctx))
	if err == nil {
		c.running.Wait()
	}
	return err
}

// event is sent to a page when something happens in its room.
type event struct {
	Kind string `json:"kind"` // "joined", "said" or "left"
	Name string `json:"name"`
	Text string `json:"text,omitempty"` // the message, or why the user left
	Here int    `json:"here"`           // the number of users in the room
}

// tell sends an event about s to all users in its room. It never blocks.
func (c *chat) tell(s *session, kind, text string) {
	var members []*session
	for _, m := range c.sessions.All() {
		if m.Conn().room == s.Conn().room {
			members = append(members, m)
		}
	}
	e := &event{Kind: kind, Name: s.ID(), Text: text, Here: len(members)}
	for _, m := range members {
		send(m, e)
	}
}
