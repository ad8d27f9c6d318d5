package main

import (
	"strings"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	maxClients = 10_000
	maxTimeout = 1<<31 - 1 // seconds
)

// server has one wheel for the clients' idle timeouts and the keys' expiry.
type server struct {
	tcp.Server

	mu sync.Mutex
	// Guarded by mu.
	timeout int64 // in seconds; 0 is the Server's IdleTimeout, never
	entries map[string]*entry
}

// client is what the server keeps of a session.
type client struct {
	*tcp.Session
	server *server
	leave  pool.Reason // the session's own: if set, it is closed behind the reply

	name, flags string // guarded by server.mu
}

func newServer(timeout int64) (*server, error) {
	w, err := wheel.New(wheel.Config{})
	sv := &server{timeout: timeout, entries: make(map[string]*entry)}
	sv.Split, sv.MaxFrame, sv.MaxSessions = split, maxCommand, maxClients
	sv.Wheel, sv.IdleTimeout = w, -1 // never, unless timeout says so
	sv.OnNewSessionRegister, sv.OnMessage = sv.welcome, handle
	return sv, err
}

func (sv *server) welcome(s *tcp.Session) {
	s.SetValue(&client{Session: s, server: sv, flags: "N"})
	sv.mu.Lock() // so that no client misses a change
	defer sv.mu.Unlock()
	s.SetIdleTimeout(time.Duration(sv.timeout) * time.Second)
}

// handle answers a command. The replies to a pipeline are sent together.
func handle(s *tcp.Session, frame []byte) {
	c := s.Value().(*client)
	args := make([]string, 0, 4) // as most commands have at most
	var answer reply
	if _, err := parse(frame, func(arg []byte) { args = append(args, string(arg)) }); err != nil {
		answer, c.leave = failure("ERR Protocol error: %v", err), "ProtocolError"
	} else {
		answer = c.execute(args)
	}
	_ = s.Queue(answer) // failing closes the session
	if c.leave != "" {
		_ = s.Send(nil) // what is queued, to its end
		s.Close(c.leave)
	}
}

// execute runs a command and returns its reply.
func (c *client) execute(args []string) reply {
	name, rest := strings.ToLower(args[0]), args[1:]
	cmd, found := commands[name]
	if !found {
		return unknown(args)
	}
	if cmd.run == nil && len(rest) > 0 { // it has subcommands
		name, rest = name+"|"+strings.ToLower(rest[0]), rest[1:]
		if cmd, found = commands[name]; !found {
			return failure("ERR unknown subcommand '%.128s'. Try %s HELP.", args[1], strings.ToUpper(args[0]))
		}
	}
	if len(rest) < cmd.least || len(rest) > cmd.most {
		return failure("ERR wrong number of arguments for '%s' command", name)
	}
	if cmd.locked {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
	}
	return cmd.run(c, rest)
}
