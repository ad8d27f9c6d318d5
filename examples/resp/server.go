package main

import (
	"strings"
	"sync"
	"time"

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
	timeout int64 // in seconds; 0 is never
	entries map[string]*entry
}

// client is what the server keeps of a session.
type client struct {
	*tcp.Session
	server *server

	name, flags string // guarded by server.mu
}

func newServer(timeout int64) (*server, error) {
	w, err := wheel.New(wheel.Config{})
	sv := &server{entries: make(map[string]*entry)}
	sv.Split, sv.MaxFrame, sv.MaxSessions, sv.Wheel = split, maxCommand, maxClients, w
	sv.OnNewSessionRegister = func(s *tcp.Session) { s.SetValue(&client{Session: s, server: sv, flags: "N"}) }
	sv.OnMessage = handle
	sv.setTimeoutLocked(timeout)
	return sv, err
}

func (sv *server) setTimeoutLocked(seconds int64) {
	sv.timeout = seconds
	sv.SetIdleTimeout(time.Duration(seconds)*time.Second - 1) // negative is never
}

// handle answers a command. The replies to a pipeline are sent together.
func handle(s *tcp.Session, frame []byte) {
	args := make([]string, 0, 4) // as most commands have at most
	var answer reply
	if _, err := parse(frame, func(arg []byte) { args = append(args, string(arg)) }); err != nil {
		answer = failure("ERR Protocol error: %v", err)
		s.Finish("ProtocolError")
	} else {
		answer = s.Value().(*client).execute(args)
	}
	_ = s.Queue(answer) // failing closes the session
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
