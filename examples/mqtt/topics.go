package main

import (
	"strings"
	"sync/atomic"
)

// subscription is how a session has subscribed to a filter.
type subscription struct {
	QoS               byte
	NoLocal           bool  `json:",omitempty"`
	RetainAsPublished bool  `json:",omitempty"`
	IDs               []int `json:",omitempty"` // subscription identifiers: of this one, or of all that match a message
}

// level is a level of the tree of topics, and what is subscribed to there.
type level struct {
	next   map[string]*level
	subs   map[*session]subscription
	shares map[string]*share // by name
}

// share is a shared subscription.
type share struct {
	members []target
	turn    atomic.Uint32
}

// target is a session that gets a message.
type target struct {
	*session
	subscription
}

// validFilter reports whether wildcards occupy whole levels and # is the last.
func validFilter(filter string) bool {
	for more := true; more; {
		var name string
		name, filter, more = strings.Cut(filter, "/")
		if len(name) > 1 && strings.ContainsAny(name, "+#") || name == "#" && more {
			return false
		}
	}
	return true
}

// cutShare cuts $share/NAME/ off a filter.
func cutShare(filter string) (name, rest string, shared bool) {
	if rest, shared = strings.CutPrefix(filter, "$share/"); !shared {
		return "", filter, false
	}
	name, rest, _ = strings.Cut(rest, "/")
	return name, rest, true
}

// edit calls f with the level of a filter, and removes the levels that are empty afterwards.
func (l *level) edit(filter string, f func(*level)) { l.descend(filter, true, f) }

func (l *level) descend(filter string, more bool, f func(*level)) {
	if !more {
		f(l)
		return
	}
	name, rest, more := strings.Cut(filter, "/")
	next := l.next[name]
	if next == nil {
		next = new(level)
	}
	if next.descend(rest, more, f); len(next.next)+len(next.subs)+len(next.shares) == 0 {
		delete(l.next, name)
		return
	}
	if l.next == nil {
		l.next = make(map[string]*level)
	}
	l.next[name] = next
}

// visit calls f with the levels of all filters that match a topic. Filters that begin with a
// wildcard do not match topics that begin with $.
func (l *level) visit(topic string, f func(*level)) {
	l.match(topic, true, !strings.HasPrefix(topic, "$"), f)
}

func (l *level) match(topic string, more, wild bool, f func(*level)) {
	if all := l.next["#"]; all != nil && wild {
		f(all)
	}
	if !more {
		f(l)
		return
	}
	name, rest, more := strings.Cut(topic, "/")
	if next := l.next[name]; next != nil {
		next.match(rest, more, true, f)
	}
	if next := l.next["+"]; next != nil && wild {
		next.match(rest, more, true, f)
	}
}

// subscribe adds or replaces a subscription. It reports whether it replaced one.
func (l *level) subscribe(s *session, filter string, sub subscription) {
	name, filter, shared := cutShare(filter)
	l.edit(filter, func(l *level) {
		if !shared {
			if l.subs == nil {
				l.subs = make(map[*session]subscription)
			}
			l.subs[s] = sub
			return
		}
		if l.shares == nil {
			l.shares = make(map[string]*share)
		}
		if l.shares[name] == nil {
			l.shares[name] = new(share)
		}
		members := l.shares[name].without(s)
		l.shares[name].members = append(members, target{s, sub})
	})
}

func (l *level) unsubscribe(s *session, filter string) {
	name, filter, shared := cutShare(filter)
	l.edit(filter, func(l *level) {
		if !shared {
			delete(l.subs, s)
		} else if sh := l.shares[name]; sh != nil {
			if sh.members = sh.without(s); len(sh.members) == 0 {
				delete(l.shares, name)
			}
		}
	})
}

func (sh *share) without(s *session) (others []target) {
	for _, m := range sh.members {
		if m.session != s {
			others = append(others, m)
		}
	}
	return others
}

// pick chooses the member whose turn it is, of those that are connected if there are any.
func (sh *share) pick() target {
	turn := int(sh.turn.Add(1))
	for i := range sh.members {
		if m := sh.members[(turn+i)%len(sh.members)]; m.connected() {
			return m
		}
	}
	return sh.members[turn%len(sh.members)]
}

// targets returns who gets a message. A session with several subscriptions that match gets it
// once, with the highest of their QoS.
func (l *level) targets(topic, origin string) []target {
	var all []target
	var index map[*session]int // in all; from the second level with subscriptions on
	add := func(s *session, sub subscription) {
		if i, ok := index[s]; ok {
			old := &all[i].subscription
			old.QoS = max(old.QoS, sub.QoS)
			old.RetainAsPublished = old.RetainAsPublished || sub.RetainAsPublished
			old.IDs = append(old.IDs[:len(old.IDs):len(old.IDs)], sub.IDs...)
			return
		}
		if index != nil {
			index[s] = len(all)
		}
		all = append(all, target{s, sub})
	}
	l.visit(topic, func(l *level) {
		if len(all) > 0 && index == nil && len(l.subs) > 0 {
			index = make(map[*session]int, len(all))
			for i, t := range all {
				index[t.session] = i
			}
		}
		for s, sub := range l.subs {
			if !sub.NoLocal || s.id != origin {
				add(s, sub)
			}
		}
	})
	index = nil // a shared subscription is one of its own
	l.visit(topic, func(l *level) {
		for _, sh := range l.shares {
			t := sh.pick()
			all = append(all, t)
		}
	})
	return all
}
