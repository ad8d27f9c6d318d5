package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
)

const (
	maxClients = 10_000
	maxTimeout = 1<<31 - 1 // seconds
)

// command is how one command is run.
type command struct {
	arity int                       // how many arguments, the name included; negative: at least
	keys  bool                      // run under the lock of the keyspace
	run   func(*client) (reply any) // nil: it has subcommands
}

const (
	ok         = status("OK")
	errSyntax  = failure("ERR syntax error")
	errInteger = failure("ERR value is not an integer or out of range")
)

// commands is the table of all that the server can do, by name in lower case.
func commands() map[string]command {
	return map[string]command{
		"ping":            {-1, false, ping},
		"echo":            {2, false, func(c *client) any { return c.arg(1) }},
		"quit":            {-1, false, func(c *client) any { c.leave = "Quit"; return ok }},
		"hello":           {-1, false, hello},
		"select":          {2, false, selectDB},
		"info":            {-1, false, info},
		"command":         {-2, false, nil},
		"command|docs":    {-2, false, func(*client) any { return []any{} }},
		"command|count":   {2, false, func(c *client) any { return int64(len(c.server.commands)) }},
		"config":          {-2, false, nil},
		"config|get":      {-3, false, configGet},
		"config|set":      {-4, false, configSet},
		"client":          {-2, false, nil},
		"client|id":       {2, false, func(c *client) any { return c.ID() }},
		"client|getname":  {2, false, getName},
		"client|setname":  {3, false, setName},
		"client|no-evict": {3, false, noEvict},
		"client|list":     {-2, false, listClients},
		"client|kill":     {-3, false, killClients},
		"get":             {2, true, get},
		"set":             {-3, true, set},
		"incr":            {2, true, incr},
		"del":             {-2, true, func(c *client) any { return c.count(c.server.keys.removeLocked) }},
		"exists":          {-2, true, func(c *client) any { return c.count(func(*entry) {}) }},
		"expire":          {-3, true, expire},
		"ttl":             {2, true, ttl},
		"keys":            {2, true, findKeys},
		"dbsize":          {1, true, func(c *client) any { return int64(len(c.server.keys.entries)) }},
		"flushall":        {-1, true, flushAll},
	}
}

func ping(c *client) any {
	switch len(c.args) {
	case 1:
		return status("PONG")
	case 2:
		return c.arg(1)
	}
	return failure("ERR wrong number of arguments for 'ping' command")
}

func hello(c *client) any {
	if len(c.args) > 1 {
		if v, err := parseInt(c.args[1]); err != nil {
			return failure("ERR Protocol version is not an integer or out of range")
		} else if v != 2 {
			return failure("NOPROTO unsupported protocol version")
		}
	}
	if len(c.args) > 2 {
		return failure(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", c.arg(2)))
	}
	return []any{"server", "redis", "version", "7.0.15", "proto", int64(2), "id", c.ID(), "mode", "standalone", "role", "master", "modules", []any{}}
}

func selectDB(c *client) any {
	if n, err := parseInt(c.args[1]); err != nil {
		return errInteger
	} else if n != 0 {
		return failure("ERR DB index is out of range")
	}
	return ok
}

func info(c *client) any {
	if len(c.args) > 1 && !slices.Contains([]string{"clients", "default", "all", "everything"}, c.option(1)) {
		return ""
	}
	return fmt.Sprintf("# Clients\r\nconnected_clients:%d\r\nmaxclients:%d\r\n", c.server.Stats().Sessions, maxClients)
}

// settings are what CONFIG GET knows. CONFIG SET changes timeout alone.
func (sv *server) settings() map[string]string {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	return map[string]string{
		"appendonly": "no", "databases": "1", "save": "", "timeout": strconv.FormatInt(sv.timeout, 10),
		"maxclients": strconv.Itoa(maxClients), "proto-max-bulk-len": strconv.Itoa(maxBulk),
	}
}

func configGet(c *client) any {
	found, settings := []any{}, c.server.settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		for i := 2; i < len(c.args); i++ {
			if fits, _ := path.Match(c.option(i), name); fits {
				found = append(found, name, settings[name])
				break
			}
		}
	}
	return found
}

func configSet(c *client) any {
	why, name := "", c.option(2)
	_, known := c.server.settings()[name]
	seconds, err := parseInt(c.args[3])
	switch {
	case len(c.args) > 4:
		return errSyntax
	case !known:
		return failure(fmt.Sprintf("ERR Unknown option or number of arguments for CONFIG SET - '%s'", c.arg(2)))
	case name != "timeout":
		why = "can't set immutable config"
	case err != nil:
		why = "argument couldn't be parsed into an integer"
	case seconds < 0 || seconds > maxTimeout:
		why = "argument must be between 0 and 2147483647 inclusive"
	default:
		c.server.setTimeout(seconds)
		return ok
	}
	return failure(fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", c.arg(2), why))
}
