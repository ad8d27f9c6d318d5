package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is how one command is run.
type command struct {
	least, most int  // arguments behind the name
	locked      bool // run under server.mu
	run         func(*client, []string) reply
}

const many = maxArgs

// commands is all that the server can do, by name in lower case. Those without
// a run have subcommands.
var commands = map[string]command{
	"ping":            {0, 1, false, ping},
	"echo":            {1, 1, false, func(_ *client, args []string) reply { return bulk(args[0]) }},
	"quit":            {0, many, false, func(c *client, _ []string) reply { c.Finish("Quit"); return ok }},
	"info":            {0, many, false, info},
	"config":          {1, many, false, nil},
	"config|get":      {1, many, true, configGet},
	"config|set":      {2, 2, true, configSet},
	"client":          {1, many, false, nil},
	"client|id":       {0, 0, false, func(c *client, _ []string) reply { return integer(c.ID()) }},
	"client|getname":  {0, 0, true, getName},
	"client|setname":  {1, 1, true, setName},
	"client|no-evict": {1, 1, true, noEvict},
	"client|list":     {0, many, true, listClients},
	"client|kill":     {1, many, false, killClients},
	"get":             {1, 1, true, get},
	"set":             {2, many, true, set},
	"incr":            {1, 1, true, incr},
	"del":             {1, many, true, del},
	"exists":          {1, many, true, exists},
	"expire":          {2, many, true, expire},
	"ttl":             {1, 1, true, ttl},
	"keys":            {1, 1, true, findKeys},
	"dbsize":          {0, 0, true, func(c *client, _ []string) reply { return integer(int64(len(c.server.entries))) }},
	"flushall":        {0, many, true, flushAll},
}

// unknown is the error for a command that there is not.
func unknown(args []string) reply {
	rest := ""
	for i := 1; i < len(args) && len(rest) < 128; i++ {
		rest += fmt.Sprintf("'%.*s' ", 128-len(rest), args[i])
	}
	return failure("ERR unknown command '%.128s', with args beginning with: %s", args[0], rest)
}

// oneOf ignores case, as all that compares options does.
func oneOf(s string, options ...string) bool { return slices.Contains(options, strings.ToLower(s)) }

func ping(_ *client, args []string) reply {
	if len(args) == 0 {
		return reply("+PONG\r\n")
	}
	return bulk(args[0])
}

func info(c *client, args []string) reply {
	if len(args) > 0 && !oneOf(args[0], "clients", "default", "all", "everything") {
		return bulk("")
	}
	return bulk(fmt.Sprintf("# Clients\r\nconnected_clients:%d\r\nmaxclients:%d\r\n", c.server.Stats().Sessions, maxClients))
}

// configGet also has what redis-benchmark asks for.
func configGet(c *client, args []string) reply {
	var found []string
	for _, setting := range [][]string{{"appendonly", "no"}, {"save", ""}, {"timeout", fmt.Sprint(c.server.timeout)}} {
		if slices.ContainsFunc(args, func(pattern string) bool { return matches(strings.ToLower(pattern), setting[0]) }) {
			found = append(found, setting...)
		}
	}
	return array(found)
}

// configSet changes the idle timeout of all clients, counted from now.
func configSet(c *client, args []string) reply {
	const failed = "ERR CONFIG SET failed (possibly related to argument '%s') - argument "
	seconds, err := parseInt(args[1])
	switch {
	case !oneOf(args[0], "timeout"):
		return failure("ERR Unknown option or number of arguments for CONFIG SET - '%s'", args[0])
	case err != nil:
		return failure(failed+"couldn't be parsed into an integer", args[0])
	case seconds < 0 || seconds > maxTimeout:
		return failure(failed+"must be between 0 and %d inclusive", args[0], maxTimeout)
	}
	c.server.setTimeoutLocked(seconds)
	return ok
}

func setName(c *client, args []string) reply {
	if strings.ContainsFunc(args[0], func(r rune) bool { return r < '!' || r > '~' }) {
		return failure("ERR Client names cannot contain spaces, newlines or special characters.")
	}
	c.name = args[0]
	return ok
}

func getName(c *client, _ []string) reply {
	if c.name == "" {
		return null
	}
	return bulk(c.name)
}

func noEvict(c *client, args []string) reply {
	flags, known := map[string]string{"on": "e", "off": "N"}[strings.ToLower(args[0])]
	if !known {
		return errSyntax
	}
	c.flags = flags
	return ok
}

func listClients(c *client, args []string) reply {
	if len(args) > 0 {
		return errSyntax
	}
	var list strings.Builder
	for s := range c.server.Sessions() {
		idle := time.Since(s.LastActive())
		if s == c.Session { // which counts as active when its command has been handled
			idle = 0
		}
		if o, begun := s.Value().(*client); begun {
			fmt.Fprintf(&list, "id=%d addr=%v laddr=%v name=%s age=%d idle=%d flags=%s db=0 user=default resp=2\n",
				s.ID(), s.RemoteAddr(), s.LocalAddr(), o.name, time.Since(s.RegisteredAt())/time.Second, idle/time.Second, o.flags)
		}
	}
	return bulk(list.String())
}

// killFilters are what CLIENT KILL goes by, with the values that are taken; nil is any.
var killFilters = map[string][]string{"id": nil, "addr": nil, "type": {"normal"}, "skipme": {"yes", "no"}}

// killClients takes an address, or filters that all must fit.
func killClients(c *client, args []string) reply {
	one := len(args) == 1
	if one {
		args = []string{"addr", args[0], "skipme", "no"}
	}
	filters := make(map[string]string)
	for pair := range slices.Chunk(args, 2) {
		filter, value := strings.ToLower(pair[0]), strings.ToLower(pair[len(pair)-1])
		values, known := killFilters[filter]
		id, err := parseInt(value)
		switch {
		case len(pair) == 1 || !known || values != nil && !slices.Contains(values, value):
			return errSyntax
		case filter == "id" && (err != nil || id < 1):
			return failure("ERR client-id should be greater than 0")
		}
		filters[filter] = value
	}
	switch n := c.kill(filters); {
	case !one:
		return integer(n)
	case n == 0:
		return failure("ERR No such client")
	}
	return ok
}

// kill closes the clients that the filters fit, and counts them.
func (c *client) kill(filters map[string]string) (n int64) {
	fits := func(filter, value string) bool {
		want, given := filters[filter]
		return !given || want == value
	}
	for s := range c.server.Sessions() {
		switch {
		case !fits("id", strconv.FormatInt(s.ID(), 10)), !fits("addr", s.RemoteAddr().String()):
		case s == c.Session && filters["skipme"] == "no":
			c.Finish("Killed")
			n++
		case s != c.Session && s.Close("Killed"):
			n++
		}
	}
	return n
}

// notSlash makes '/' a byte like any other to path.Match, whose patterns are
// much like Redis's otherwise.
var notSlash = strings.NewReplacer("/", "\x00")

func matches(pattern, s string) bool {
	fits, _ := path.Match(notSlash.Replace(pattern), notSlash.Replace(s)) // a bad pattern fits nothing
	return fits
}
