package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

const spare = 100 // sessions beyond the users, for the page and to tell users that the chat is full

// chat is the chat server. A session begins with an HTTP request. When that makes it a
// WebSocket, its value becomes a *peer.
type chat struct {
	tcp.Server

	mu sync.Mutex
	// Guarded by mu.
	rooms map[string]*tcp.Group
}

func newChat(timeout, drainOver time.Duration, log *slog.Logger) *chat {
	c := &chat{rooms: make(map[string]*tcp.Group)}
	c.Split, c.MaxFrame, c.OnMessage = splitRequest, maxRequest, c.handle
	c.Activity = tcp.Received // a peer that is gone must not stay in a busy room
	c.IdleTimeout, c.IdleWarning, c.OnIdle = timeout, min(10*time.Second, timeout/2), ping
	c.FrameTimeout, c.WriteTimeout, c.DrainOver = 10*time.Second, 10*time.Second, drainOver
	c.MaxOutbound = 64 * maxMessage
	c.MaxSessions = 10_000 + spare
	c.Farewell, c.OnSessionClosed, c.Logger = farewell, leave, log
	return c
}

// join puts a new WebSocket into a room, and closes the session that had its user's name.
func (c *chat) join(s *tcp.Session, name, room string) {
	p := &peer{state: ws.StateServerSide}
	s.SetValue(p)
	if c.Stats().Sessions > c.MaxSessions-spare {
		s.Close("Full")
	}
	if s.Bind(context.Background(), name, nil) == nil && c.enter(s, p, room) { // or the session is closed
		p.tell(s, "joined", "")
	}
}

// enter makes a session a member of a room. It reports false if the session is closed.
func (c *chat) enter(s *tcp.Session, p *peer, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.rooms, func(_ string, room *tcp.Group) bool { return room.Len() == 0 })
	if c.rooms[name] == nil {
		c.rooms[name] = new(tcp.Group)
	}
	if room := c.rooms[name]; room.Add(s) {
		p.room = room
	}
	return p.room != nil
}

// leave tells the room that a user has left. The closed session is no member any more.
func leave(s *tcp.Session, r pool.Reason) {
	if p, upgraded := s.Value().(*peer); upgraded && p.room != nil && r != pool.Shutdown { // all users leave then
		p.tell(s, "left", string(r))
	}
}

// event is sent to a page when something happens in its room.
type event struct {
	Kind string `json:"kind"` // "joined", "said" or "left"
	Name string `json:"name"`
	Text string `json:"text,omitempty"` // the message, or why the user left
	Here int    `json:"here"`           // the number of users in the room
}

// tell posts an event about s to all users in its room. It never waits.
func (p *peer) tell(s *tcp.Session, kind, text string) {
	message, _ := json.Marshal(event{Kind: kind, Name: s.BoundID(), Text: text, Here: p.room.Len()}) // never fails
	p.room.Post(ws.MustCompileFrame(ws.NewTextFrame(message)))
}
