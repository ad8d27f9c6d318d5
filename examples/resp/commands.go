package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command says how a command is executed.
type command struct {
	least, most int  // arguments after the name
	locked      bool // executed under server.mu
	run         func(*client, []string) []byte
}

// commands maps names in lower case to commands. A command without run has
// subcommands.
var commands = map[string]command{
	"ping":            {0, 1, false, ping},
	"echo":            {1, 1, false, func(_ *client, args []string) []byte { return bulk(args[0]) }},
	"quit":            {0, maxArgs, false, func(c *client, _ []string) []byte { c.ends = "Quit"; return ok }},
	"info":            {0, maxArgs, false, info},
	"config":          {1, maxArgs, false, nil},
	"config|get":      {1, maxArgs, true, configGet},
	"config|set":      {2, 2, true, configSet},
	"client":          {1, maxArgs, false, nil},
	"client|id":       {0, 0, false, func(c *client, _ []string) []byte { return integer(c.ID()) }},
	"client|getname":  {0, 0, true, getName},
	"client|setname":  {1, 1, true, setName},
	"client|no-evict": {1, 1, true, noEvict},
	"client|list":     {0, maxArgs, true, listClients},
	"client|kill":     {1, maxArgs, false, killClients},
	"get":             {1, 1, true, get},
	"set":             {2, maxArgs, true, set},
	"incr":            {1, 1, true, incr},
	"del":             {1, maxArgs, true, del},
	"exists":          {1, maxArgs, true, exists},
	"expire":          {2, maxArgs, true, expire},
	"ttl":             {1, 1, true, ttl},
	"keys":            {1, 1, true, findKeys},
	"dbsize":          {0, 0, true, func(c *client, _ []string) []byte { return integer(int64(len(c.server.entries))) }},
	"flushall":        {0, maxArgs, true, flushAll},
}

// execute runs a command and returns its reply.
func (c *client) execute(args []string) []byte {
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

// unknown returns the error for an unknown command.
func unknown(args []string) []byte {
	rest := ""
	for i := 1; i < len(args) && len(rest) < 128; i++ {
		rest += fmt.Sprintf("'%.*s' ", 128-len(rest), args[i])
	}
	return failure("ERR unknown command '%.128s', with args beginning with: %s", args[0], rest)
}

// oneOf reports whether s is one of the options, ignoring case.
func oneOf(s string, options ...string) bool { return slices.Contains(options, strings.ToLower(s)) }

func ping(_ *client, args []string) []byte {
	if len(args) == 0 {
		return []byte("+PONG\r\n")
	}
	return bulk(args[0])
}

func info(c *client, args []string) []byte {
	if len(args) > 0 && !oneOf(args[0], "clients", "default", "all", "everything") {
		return bulk("")
	}
	return bulk(fmt.Sprintf("# Clients\r\nconnected_clients:%d\r\nmaxclients:%d\r\n", c.server.Stats().Sessions, c.server.MaxSessions))
}

// configGet returns settings, among them those that redis-benchmark asks for.
func configGet(c *client, args []string) []byte {
	var found []string
	for _, setting := range [][]string{{"appendonly", "no"}, {"save", ""}, {"timeout", fmt.Sprint(c.server.timeout)}} {
		if slices.ContainsFunc(args, func(pattern string) bool { return matches(strings.ToLower(pattern), setting[0]) }) {
			found = append(found, setting...)
		}
	}
	return array(found)
}

// configSet changes the idle timeout of all clients, counted from their last activity.
func configSet(c *client, args []string) []byte {
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

func setName(c *client, args []string) []byte {
	if strings.ContainsFunc(args[0], func(r rune) bool { return r < '!' || r > '~' }) {
		return failure("ERR Client names cannot contain spaces, newlines or special characters.")
	}
	c.name = args[0]
	return ok
}

func getName(c *client, _ []string) []byte {
	if c.name == "" {
		return null
	}
	return bulk(c.name)
}

func noEvict(c *client, args []string) []byte {
	flags := map[string]string{"on": "e", "off": "N"}[strings.ToLower(args[0])]
	if flags == "" {
		return errSyntax
	}
	c.flags = flags
	return ok
}

func listClients(c *client, args []string) []byte {
	if len(args) > 0 {
		return errSyntax
	}
	var list strings.Builder
	for s := range c.server.Sessions() {
		idle := time.Since(s.LastActive())
		if s == c.Session { // its activity is recorded after the command
			idle = 0
		}
		o := s.Value().(*client)
		fmt.Fprintf(&list, "id=%d addr=%v laddr=%v name=%s age=%d idle=%d flags=%s db=0 user=default resp=2\n",
			s.ID(), s.RemoteAddr(), s.LocalAddr(), o.name, time.Since(s.RegisteredAt())/time.Second, idle/time.Second, o.flags)
	}
	return bulk(list.String())
}

// killFilters maps the filters of CLIENT KILL to their valid values; nil means any.
var killFilters = map[string][]string{"id": nil, "addr": nil, "type": {"normal"}, "skipme": {"yes", "no"}}

// killClients closes the client with an address, or all clients that match all
// filters.
func killClients(c *client, args []string) []byte {
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
	fits := func(filter, value string) bool {
		want, given := filters[filter]
		return !given || want == value
	}
	n := int64(0)
	for s := range c.server.Sessions() {
		switch {
		case !fits("id", strconv.FormatInt(s.ID(), 10)), !fits("addr", s.RemoteAddr().String()):
		case s == c.Session && filters["skipme"] == "no":
			c.ends = "Killed"
			n++
		case s != c.Session && s.Close("Killed"):
			n++
		}
	}
	switch {
	case !one:
		return integer(n)
	case n == 0:
		return failure("ERR No such client")
	}
	return ok
}

// notSlash replaces '/', which path.Match treats specially. Otherwise its patterns are
// much like Redis's.
var notSlash = strings.NewReplacer("/", "\x00")

// matches reports whether s matches a pattern.
func matches(pattern, s string) bool {
	fits, _ := path.Match(notSlash.Replace(pattern), notSlash.Replace(s)) // an invalid pattern matches nothing
	return fits
}
