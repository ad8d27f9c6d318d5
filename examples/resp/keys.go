package main

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// keyspace is what the server keeps. A command holds its lock while it runs.
type keyspace struct {
	wheel *wheel.Wheel

	mu      sync.Mutex
	entries map[string]*entry // guarded by mu, and so are the entries
}

// entry has a timer, which is armed if it is to expire.
type entry struct {
	keys       *keyspace
	key, value string
	timer      wheel.Timer
}

// Fire is called by the wheel.
func (e *entry) Fire() {
	e.keys.mu.Lock()
	defer e.keys.mu.Unlock()
	if e.keys.entries[e.key] == e {
		e.keys.findLocked(e.key) // it may have got more time since
	}
}

// findLocked returns nil if there is no such entry. A timer may be a tick late,
// but an entry whose time is past is not found.
func (k *keyspace) findLocked(key string) *entry {
	e := k.entries[key]
	if e != nil && e.expired() {
		k.removeLocked(e)
		return nil
	}
	return e
}

func (e *entry) expired() bool {
	due, _ := e.timer.Due() // 0 if it was never armed, or stopped
	return due != 0 && due <= e.keys.wheel.Elapsed()
}

func (k *keyspace) removeLocked(e *entry) {
	e.timer.Stop()
	delete(k.entries, e.key)
}

func (c *client) find(i int) *entry { return c.server.keys.findLocked(string(c.args[i])) }

// put gives the key a value, where e is what find found.
func (c *client) put(e *entry, value string) *entry {
	if k := &c.server.keys; e == nil {
		e = &entry{keys: k, key: c.arg(1)}
		e.timer.InitHandler(k.wheel, e)
		k.entries[e.key] = e
	}
	e.value = value
	return e
}

// count does something to each entry that is named and counts them.
func (c *client) count(do func(*entry)) (n int64) {
	for i := 1; i < len(c.args); i++ {
		if e := c.find(i); e != nil {
			do(e)
			n++
		}
	}
	return n
}

func get(c *client) any {
	if e := c.find(1); e != nil {
		return e
	}
	return nil
}

func set(c *client) any {
	var life time.Duration
	var only string
	var keep, old bool
	var err error
	for i := 3; i < len(c.args); i++ {
		switch o := c.option(i); {
		case (o == "nx" || o == "xx") && (only == "" || only == o):
			only = o
		case o == "get":
			old = true
		case o == "keepttl" && life == 0:
			keep = true
		case (o == "ex" || o == "px") && !keep && life == 0 && i+1 < len(c.args):
			unit := map[string]time.Duration{"ex": time.Second, "px": time.Millisecond}[o]
			life, err = c.duration(i+1, unit, 1)
			i++
		default:
			return errSyntax
		}
	}
	if err != nil {
		return err
	}
	e, was := c.find(1), any(nil)
	if e != nil && old {
		was = e.value
	}
	if only == "nx" && e != nil || only == "xx" && e == nil {
		return was
	}
	e = c.put(e, c.arg(2))
	if life > 0 {
		e.timer.Reset(life)
	} else if !keep {
		e.timer.Stop()
	}
	if old {
		return was
	}
	return ok
}

// duration reads an amount of units, of which there must be least. A
// time.Duration holds no more than 292 years.
func (c *client) duration(i int, unit time.Duration, least int64) (time.Duration, error) {
	n, err := parseInt(c.args[i])
	if err != nil {
		return 0, errInteger
	}
	if n < least || n > math.MaxInt64/int64(unit) {
		return 0, failure(fmt.Sprintf("ERR invalid expire time in '%s' command", c.cmd))
	}
	return time.Duration(n) * unit, nil
}

func expire(c *client) any {
	if len(c.args) > 3 {
		return failure("ERR Unsupported option " + c.arg(3))
	}
	life, err := c.duration(2, time.Second, math.MinInt64/int64(time.Second))
	e := c.find(1)
	switch {
	case err != nil:
		return err
	case e == nil:
		return int64(0)
	case life <= 0:
		c.server.keys.removeLocked(e)
	default:
		e.timer.Reset(life)
	}
	return int64(1)
}

func ttl(c *client) any {
	e := c.find(1)
	if e == nil {
		return int64(-2)
	}
	due, pending := e.timer.Due()
	if !pending {
		return int64(-1)
	}
	return int64((due - c.server.Wheel.Elapsed()).Round(time.Second) / time.Second)
}

func incr(c *client) any {
	e, n := c.find(1), int64(0)
	if e != nil {
		var err error
		if n, err = parseInt([]byte(e.value)); err != nil {
			return errInteger
		}
	}
	if n == math.MaxInt64 {
		return failure("ERR increment or decrement would overflow")
	}
	c.put(e, strconv.FormatInt(n+1, 10))
	return n + 1
}

// notSlash makes '/' a byte like any other to path.Match, whose patterns are
// much like Redis's otherwise.
var notSlash = strings.NewReplacer("/", "\x00")

func findKeys(c *client) any {
	found, pattern := []any{}, notSlash.Replace(c.arg(1))
	for key, e := range c.server.keys.entries {
		if fits, _ := path.Match(pattern, notSlash.Replace(key)); fits && !e.expired() {
			found = append(found, key)
		}
	}
	return found
}

func flushAll(c *client) any {
	if len(c.args) > 2 || len(c.args) == 2 && c.option(1) != "sync" && c.option(1) != "async" {
		return errSyntax
	}
	for _, e := range c.server.keys.entries {
		c.server.keys.removeLocked(e)
	}
	return ok
}
