package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// server has one wheel for the clients' idle timeouts and the keys' expiry.
type server struct {
	tcp.Server
	commands map[string]command
	keys     keyspace

	mu      sync.Mutex
	timeout int64 // guarded by mu: in seconds; 0 is never
}

func newServer(timeout int64) (*server, error) {
	w, err := wheel.New(wheel.Config{})
	sv := &server{commands: commands(), timeout: timeout}
	sv.keys = keyspace{wheel: w, entries: make(map[string]*entry)}
	sv.Split, sv.MaxFrame, sv.MaxSessions = split, maxCommand, maxClients
	sv.Wheel, sv.IdleTimeout = w, -1 // each client is given a timeout of its own
	sv.OnNewSessionRegister, sv.OnMessage = sv.welcome, handle
	return sv, err
}

func (sv *server) welcome(s *tcp.Session) {
	s.SetValue(&client{Session: s, server: sv})
	sv.mu.Lock() // so that no client misses a change
	defer sv.mu.Unlock()
	s.SetIdleTimeout(idle(sv.timeout))
}

// setTimeout changes the idle timeout of all clients, counted from now.
func (sv *server) setTimeout(seconds int64) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	sv.timeout = seconds
	for s := range sv.Sessions() {
		s.SetIdleTimeout(idle(seconds))
	}
}

func idle(seconds int64) time.Duration {
	if seconds == 0 {
		return -1
	}
	return time.Duration(seconds) * time.Second
}

// handle answers a command. The replies to a pipeline are sent together.
func handle(s *tcp.Session, frame []byte) {
	c := s.Value().(*client)
	defer c.forget()
	var err error
	if _, c.args, err = parse(frame, c.args); err != nil {
		c.reply(failure("ERR Protocol error: " + err.Error()))
		c.leave = "ProtocolError"
	} else {
		c.reply(c.execute())
	}
	if c.leave == "" {
		_ = s.Queue(c.out) // failing closes the session
		return
	}
	_ = s.Send(c.out)
	s.Close(c.leave)
}

// execute runs the command and returns its reply.
func (c *client) execute() any {
	c.cmd = append(c.cmd, c.args[0]...)
	cmd, found := c.server.command(c.cmd)
	if !found {
		return unknown(c.args)
	}
	if cmd.run == nil && len(c.args) > 1 { // it has subcommands
		c.cmd = append(append(c.cmd, '|'), c.args[1]...)
		if cmd, found = c.server.command(c.cmd); !found {
			return failure(fmt.Sprintf("ERR unknown subcommand '%.128s'. Try %s HELP.", c.args[1], strings.ToUpper(c.arg(0))))
		}
	}
	if n := len(c.args); cmd.arity >= 0 && n != cmd.arity || n < -cmd.arity {
		return failure(fmt.Sprintf("ERR wrong number of arguments for '%s' command", c.cmd))
	}
	if cmd.keys {
		c.server.keys.mu.Lock()
		defer c.server.keys.mu.Unlock()
	}
	return cmd.run(c)
}

// command finds a command and puts its name into lower case.
func (sv *server) command(name []byte) (command, bool) {
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			name[i] += 'a' - 'A'
		}
	}
	cmd, found := sv.commands[string(name)]
	return cmd, found
}
