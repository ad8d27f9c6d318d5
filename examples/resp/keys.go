package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// entry is a key and its value. Its timer is armed if the key expires.
type entry struct {
	server     *server
	key, value string
	timer      wheel.Timer
}

// Fire removes an entry that has expired. The wheel calls it. By then, the key may have
// another entry, or the expiry may have been postponed; findLocked checks that.
func (e *entry) Fire() {
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	e.server.findLocked(e.key)
}

// findLocked returns the entry of a key, or nil if there is none. A timer may fire a
// tick late, but an expired entry is never returned.
func (sv *server) findLocked(key string) *entry {
	if e := sv.entries[key]; e != nil {
		due, _ := e.timer.Due() // 0 if it was never armed, or stopped
		if due == 0 || due > sv.Wheel.Elapsed() {
			return e
		}
		sv.removeLocked(e)
	}
	return nil
}

func (sv *server) removeLocked(e *entry) {
	e.timer.Stop()
	delete(sv.entries, e.key)
}

// putLocked sets the value of a key. An existing entry keeps its timer.
func (sv *server) putLocked(key, value string) *entry {
	e := sv.findLocked(key)
	if e == nil {
		e = &entry{server: sv, key: key}
		e.timer.InitHandler(sv.Wheel, e)
		sv.entries[key] = e
	}
	e.value = value
	return e
}

// eachLocked calls do for each existing entry of the keys and returns their number.
func (sv *server) eachLocked(keys []string, do func(*entry)) []byte {
	n := int64(0)
	for _, key := range keys {
		if e := sv.findLocked(key); e != nil {
			do(e)
			n++
		}
	}
	return integer(n)
}

func get(c *client, args []string) []byte {
	if e := c.server.findLocked(args[0]); e != nil {
		return bulk(e.value)
	}
	return null
}

func del(c *client, args []string) []byte { return c.server.eachLocked(args, c.server.removeLocked) }

func exists(c *client, args []string) []byte { return c.server.eachLocked(args, func(*entry) {}) }

var units = map[string]time.Duration{"ex": time.Second, "px": time.Millisecond}

func set(c *client, args []string) []byte {
	var only string
	var life time.Duration
	var wrong []byte
	for i := 2; i < len(args); i++ {
		switch option := strings.ToLower(args[i]); {
		case (option == "nx" || option == "xx") && (only == "" || only == option):
			only = option
		case units[option] > 0 && life == 0 && i+1 < len(args):
			i++
			life, wrong = lifetime("set", args[i], units[option], 1)
		default:
			return errSyntax
		}
	}
	found := c.server.findLocked(args[0]) != nil
	switch {
	case wrong != nil:
		return wrong
	case only == "nx" && found, only == "xx" && !found:
		return null
	}
	e := c.server.putLocked(args[0], args[1])
	e.timer.Stop()
	if life > 0 {
		e.timer.Reset(life)
	}
	return ok
}

// lifetime parses a number of units, which must be at least least. It returns an error
// reply for more than 292 years, the maximum of a time.Duration.
func lifetime(command, amount string, unit time.Duration, least int64) (life time.Duration, wrong []byte) {
	n, err := parseInt(amount)
	switch {
	case err != nil:
		return 0, errInteger
	case n < least || n > math.MaxInt64/int64(unit):
		return 0, failure("ERR invalid expire time in '%s' command", command)
	}
	return time.Duration(n) * unit, nil
}

func expire(c *client, args []string) []byte {
	life, wrong := lifetime("expire", args[1], time.Second, math.MinInt64/int64(time.Second))
	switch {
	case len(args) > 2:
		return failure("ERR Unsupported option %s", args[2])
	case wrong != nil:
		return wrong
	case life <= 0:
		return del(c, args[:1])
	}
	return c.server.eachLocked(args[:1], func(e *entry) { e.timer.Reset(life) })
}

func ttl(c *client, args []string) []byte {
	left := int64(-2)
	if e := c.server.findLocked(args[0]); e != nil {
		left = -1
		if due, pending := e.timer.Due(); pending {
			left = int64((due - c.server.Wheel.Elapsed()).Round(time.Second) / time.Second)
		}
	}
	return integer(left)
}

func incr(c *client, args []string) []byte {
	value := "0"
	if e := c.server.findLocked(args[0]); e != nil {
		value = e.value
	}
	n, err := parseInt(value)
	switch {
	case err != nil:
		return errInteger
	case n == math.MaxInt64:
		return failure("ERR increment or decrement would overflow")
	}
	c.server.putLocked(args[0], strconv.FormatInt(n+1, 10))
	return integer(n + 1)
}

func findKeys(c *client, args []string) []byte {
	var found []string
	for key := range c.server.entries {
		if matches(args[0], key) && c.server.findLocked(key) != nil {
			found = append(found, key)
		}
	}
	return array(found)
}

func flushAll(c *client, args []string) []byte {
	if len(args) > 1 || len(args) == 1 && !oneOf(args[0], "sync", "async") {
		return errSyntax
	}
	for _, e := range c.server.entries {
		c.server.removeLocked(e)
	}
	return ok
}
