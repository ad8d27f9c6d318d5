//go:build !nocluster

package soak

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// allowance is a time in which a session of the node, or of any if that is "", may
// have another one of its ID beside it.
type allowance struct {
	node     string
	from, to int64 // unix nanoseconds; to is 0 while it goes on
}

func (a allowance) covers(from, to int64, nodes ...string) bool {
	return from >= a.from && (a.to == 0 || to != 0 && to <= a.to) && (a.node == "" || slices.Contains(nodes, a.node))
}

// history is all sessions that there have been, and what is granted them.
type history struct {
	tenures []tenure
	allowed []allowance
	fenced  map[string]bool // the nodes whose policy is cluster.Fence
	left    map[string]bool // the nodes that have left amid the load
}

// judge says whether what has happened may happen.
func (h history) judge() error {
	byID := make(map[string][]tenure)
	for _, t := range h.tenures {
		byID[t.id] = append(byID[t.id], t)
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		all := byID[id]
		slices.SortFunc(all, func(a, b tenure) int { return cmp.Compare(a.from, b.from) })
		if err := h.judgeTokens(all); err != nil {
			return err
		}
		if err := h.judgeOverlaps(all); err != nil {
			return err
		}
		if err := h.judgeEnds(all); err != nil {
			return err
		}
	}
	return nil
}

// judgeTokens looks at the sessions of one ID.
func (h history) judgeTokens(all []tenure) error {
	had := make(map[uint64]tenure)
	for _, t := range all {
		if old, ok := had[t.token]; ok {
			return broken(oneToken, "%s was opened with the token %d on node %s and on node %s", t.id, t.token, old.node, t.node)
		}
		had[t.token] = t
	}
	return nil
}

// judgeOverlaps looks at the sessions of one ID, in the order in which they began.
func (h history) judgeOverlaps(all []tenure) error {
	for i, later := range all {
		for _, earlier := range all[:i] {
			if earlier.to != 0 && earlier.to <= later.from {
				continue
			}
			from, to := later.from, firstEnd(earlier.to, later.to)
			granted := slices.ContainsFunc(h.allowed, func(a allowance) bool {
				return a.covers(from, to, earlier.node, later.node)
			})
			if granted {
				continue
			}
			length := "still"
			if to != 0 {
				length = "for " + time.Duration(to-from).String()
			}
			return broken(oneOwner, "%s was opened on node %s while node %s had it, %s; the one opened at %s with the token %d, the other %v before with %d",
				later.id, later.node, earlier.node, length,
				time.Unix(0, later.from).Format(time.StampMicro), later.token, time.Duration(later.from-earlier.from), earlier.token)
		}
	}
	return nil
}

// firstEnd is the earlier of two ends, of which 0 is none.
func firstEnd(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// judgeEnds looks at why the sessions of one ID ended.
func (h history) judgeEnds(all []tenure) error {
	for _, t := range all {
		switch {
		case t.to == 0, t.why == loggedOut, t.why == kicked, t.why == died:
		case t.why == cluster.LeaseLost && h.fenced[t.node]:
		case t.why == pool.Shutdown && h.left[t.node]:
		case t.why != pool.Replaced:
			return broken(rightEnd, "%s on node %s ended with %q", t.id, t.node, t.why)
		case atRest(t.id) && !slices.ContainsFunc(all, func(o tenure) bool { return o.token > t.token }):
			// A login that is given up may end a session all the same: so only of those
			// at rest, whose logins are never given up, can it be told.
			return broken(rightEnd, "%s on node %s ended with %q, and no login has taken its ID", t.id, t.node, t.why)
		}
	}
	return nil
}

// summary says how many sessions there have been, and why they ended.
func (h history) summary() string {
	ended := make(map[pool.Reason]int)
	for _, t := range h.tenures {
		if t.to != 0 {
			ended[t.why]++
		}
	}
	total := 0
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(ended)) {
		total += ended[why]
		parts = append(parts, fmt.Sprintf("%d %s", ended[why], why))
	}
	return fmt.Sprintf("%d sessions; ended: %s", len(h.tenures), strings.Join(parts, ", "))
}

// atRest reports whether an ID is one that the load leaves alone.
func atRest(id string) bool { return strings.HasPrefix(id, restPrefix) }

// census is what there is at one moment, when no user logs in or out.
type census struct {
	pools     map[string]map[string]uint64 // by node and ID: the tokens
	lists     map[string]map[string]uint64 // the same, as each node's List tells of all
	directory map[string]listed            // by ID: what the broker has
	alive     map[string]bool              // the epochs that have a record and no death certificate
}

// listed is an entry of the directory.
type listed struct {
	Owner string `json:"owner"`
	Node  string `json:"node"`
	Token uint64 `json:"token"`
}

// balance says whether the directory has exactly the sessions of the pools.
func (c census) balance() error {
	owners := make(map[string]string)
	for _, node := range slices.Sorted(maps.Keys(c.pools)) {
		for id, token := range c.pools[node] {
			if other, ok := owners[id]; ok {
				return broken(oneOwner, "%s has a session on node %s and on node %s", id, other, node)
			}
			owners[id] = node
			switch e, ok := c.directory[id]; {
			case !ok:
				return broken(agreeing, "%s has a session on node %s and no entry", id, node)
			case e.Node != node:
				return broken(agreeing, "%s has a session on node %s, and its entry says %s", id, node, e.Node)
			case e.Token != token:
				return broken(agreeing, "%s has the token %d on node %s, and in its entry %d", id, token, node, e.Token)
			case !c.alive[e.Owner]:
				return broken(agreeing, "the entry of %s names the incarnation %s of node %s, which is not alive", id, e.Owner, node)
			}
		}
	}
	for id, e := range c.directory {
		if _, ok := owners[id]; !ok {
			return broken(agreeing, "%s has an entry of node %s, incarnation %s, and no session", id, e.Node, e.Owner)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(c.lists)) {
		if len(c.lists[node]) != len(c.directory) {
			return broken(agreeing, "node %s lists %d sessions of %d", node, len(c.lists[node]), len(c.directory))
		}
		for id, token := range c.lists[node] {
			if c.directory[id].Token != token {
				return broken(agreeing, "node %s lists %s with the token %d, and its entry has %d", node, id, token, c.directory[id].Token)
			}
		}
	}
	return nil
}

// remembered says whether the pools have exactly the sessions that the journals
// have as open.
func (c census) remembered(tenures []tenure) error {
	open := 0
	for _, t := range tenures {
		if t.to != 0 {
			continue
		}
		if open++; c.pools[t.node][t.id] != t.token {
			return broken(nothingLost, "%s was opened on node %s with the token %d and never closed, and the pool has %d", t.id, t.node, t.token, c.pools[t.node][t.id])
		}
	}
	have := 0
	for _, p := range c.pools {
		have += len(p)
	}
	if have != open {
		return broken(nothingLost, "the pools have %d sessions, and %d were opened and not closed", have, open)
	}
	return nil
}

// inTime says whether what took so long may have.
func inTime(what string, took, most time.Duration) error {
	if took > most {
		return broken(recovers, "%s took %v, where %v are allowed", what, took.Round(time.Millisecond), most.Round(time.Millisecond))
	}
	return nil
}
