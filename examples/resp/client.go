package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// client is what the server keeps of a session, and of the command in hand.
type client struct {
	*tcp.Session
	server *server

	// Of the session's goroutine.
	cmd   []byte      // in lower case; with a subcommand, as in "client|kill"
	args  [][]byte    // the command's name first
	out   []byte      // the reply
	leave pool.Reason // if set, the client is closed behind the reply

	// Of any client's.
	name    atomic.Value // string
	noEvict atomic.Bool
}

// forget makes room for the next command. A client that waits keeps little.
func (c *client) forget() {
	clear(c.args)
	c.cmd, c.args, c.out = c.cmd[:0], c.args[:0], c.out[:0]
	if cap(c.cmd) > 64 || cap(c.args) > 16 || cap(c.out) > 1<<10 {
		c.cmd, c.args, c.out = nil, nil, nil
	}
}

// arg is an argument, and option is it in lower case; "" if there is none.
func (c *client) arg(i int) string {
	if i < len(c.args) {
		return string(c.args[i])
	}
	return ""
}

func (c *client) option(i int) string { return strings.ToLower(c.arg(i)) }

func setName(c *client) any {
	if strings.ContainsFunc(c.arg(2), func(r rune) bool { return r < '!' || r > '~' }) {
		return failure("ERR Client names cannot contain spaces, newlines or special characters.")
	}
	c.name.Store(c.arg(2))
	return ok
}

func getName(c *client) any {
	if name := c.name.Load(); name != "" {
		return name
	}
	return nil
}

func noEvict(c *client) any {
	if c.option(2) != "on" && c.option(2) != "off" {
		return errSyntax
	}
	c.noEvict.Store(c.option(2) == "on")
	return ok
}

func listClients(c *client) any {
	if len(c.args) > 2 {
		return errSyntax
	}
	var list strings.Builder
	for s := range c.server.Sessions() {
		o, begun := s.Value().(*client)
		if !begun {
			continue
		}
		name, _ := o.name.Load().(string)
		flags := "N"
		if o.noEvict.Load() {
			flags = "e"
		}
		idle := time.Since(s.LastActive())
		if s == c.Session { // which counts as active when its command has been handled
			idle = 0
		}
		fmt.Fprintf(&list, "id=%d addr=%v laddr=%v name=%s age=%d idle=%d flags=%s db=0 user=default resp=2\n",
			s.ID(), s.RemoteAddr(), s.LocalAddr(), name, time.Since(s.RegisteredAt())/time.Second, idle/time.Second, flags)
	}
	return list.String()
}

// killClients takes an address, or filters that all must fit.
func killClients(c *client) any {
	if len(c.args) == 3 {
		if c.kill(0, c.arg(2), false) == 0 {
			return failure("ERR No such client")
		}
		return ok
	}
	id, addr, skipMe := int64(0), "", true
	for i := 2; i < len(c.args); i += 2 {
		var err error
		switch filter, value := c.option(i), c.option(i+1); {
		case i+1 == len(c.args):
			return errSyntax
		case filter == "id":
			if id, err = parseInt(c.args[i+1]); err != nil || id < 1 {
				return failure("ERR client-id should be greater than 0")
			}
		case filter == "addr":
			addr = value
		case filter == "skipme" && (value == "yes" || value == "no"):
			skipMe = value == "yes"
		case filter != "type" || value != "normal":
			return errSyntax
		}
	}
	return c.kill(id, addr, skipMe)
}

// kill closes the clients with that ID, if it is not 0, and address, if it is not
// empty, and counts them.
func (c *client) kill(id int64, addr string, skipMe bool) (n int64) {
	for s := range c.server.Sessions() {
		switch {
		case id != 0 && s.ID() != id, addr != "" && s.RemoteAddr().String() != addr:
		case s == c.Session && !skipMe:
			c.leave = "Killed" // behind the reply
			n++
		case s != c.Session && s.Close("Killed"):
			n++
		}
	}
	return n
}
