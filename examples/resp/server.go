package main

import (
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// server is the server. One wheel holds the idle timeouts of the clients and the
// expiry of the keys.
type server struct {
	tcp.Server

	mu sync.Mutex
	// Guarded by mu.
	timeout int64 // in seconds; 0 means never
	entries map[string]*entry
}

// maxGathered is how many bytes of replies wait at most for a client that does not read. Its
// further commands wait, too.
const maxGathered = 64 << 10

// client is the value of a session.
type client struct {
	*tcp.Session
	server *server
	ends   pool.Reason // set by a command that ends the session

	name, flags string // guarded by server.mu
}

func newServer(timeout int64) (*server, error) {
	w, err := wheel.New(wheel.Config{})
	sv := &server{entries: make(map[string]*entry)}
	sv.Wheel, sv.Split, sv.OnMessage, sv.MaxFrame, sv.MaxSessions = w, split, handle, maxCommand, 10_000
	sv.OnNewSessionRegister = func(s *tcp.Session) { s.SetValue(&client{Session: s, server: sv, flags: "N"}) }
	sv.setTimeoutLocked(timeout)
	return sv, err
}

func (sv *server) setTimeoutLocked(seconds int64) {
	sv.timeout = seconds
	sv.SetIdleTimeout(time.Duration(seconds)*time.Second - 1) // negative means never
}

// handle executes a command. The replies to a pipeline are sent together.
func handle(s *tcp.Session, frame []byte) {
	c, send, reply := s.Value().(*client), s.Post, []byte(nil)
	args := make([]string, 0, 4) // enough for most commands
	if _, err := parse(frame, func(arg []byte) { args = append(args, string(arg)) }); err != nil {
		c.ends, reply = "ProtocolError", failure("ERR Protocol error: %v", err)
	} else {
		reply = c.execute(args)
	}
	if s.Outbound()+len(reply) > maxGathered {
		send = s.Send
	}
	if _ = send(reply); c.ends != "" { // if sending fails, the session is closed
		s.Finish(c.ends)
	}
}
