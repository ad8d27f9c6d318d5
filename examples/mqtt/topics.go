package main

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// subscription is how a session has subscribed to a filter.
type subscription struct {
	QoS               byte
	NoLocal           bool  `json:",omitempty"`
	RetainAsPublished bool  `json:",omitempty"`
	IDs               []int `json:",omitempty"` // subscription identifiers: of this one, or of all that match a message
}

// target is a session that gets a message.
type target struct {
	*session
	subscription
}

// level is a level of the tree of filters, and what is subscribed to there. A shared subscription
// is below the levels $share and NAME, as its filter says.
type level struct {
	next map[string]*level
	subs map[*session]subscription
}

// edit calls f with the level of a filter, and removes the levels that are empty afterwards.
func (l *level) edit(filter string, f func(*level)) {
	name, rest, more := strings.Cut(filter, "/")
	next := l.next[name]
	if next == nil {
		next = new(level)
	}
	if more {
		next.edit(rest, f)
	} else {
		f(next)
	}
	if len(next.next)+len(next.subs) == 0 {
		delete(l.next, name)
		return
	}
	if l.next == nil {
		l.next = make(map[string]*level)
	}
	l.next[name] = next
}

func (l *level) subscribe(s *session, filter string, sub subscription) {
	l.edit(filter, func(l *level) {
		if l.subs == nil {
			l.subs = make(map[*session]subscription)
		}
		l.subs[s] = sub
	})
}

func (l *level) unsubscribe(s *session, filter string) {
	l.edit(filter, func(l *level) { delete(l.subs, s) })
}

// visit calls f with the levels of all filters that match a topic and have subscriptions. Filters
// that begin with a wildcard do not match topics that begin with $.
func (l *level) visit(topic string, f func(*level)) {
	l.match(topic, true, !strings.HasPrefix(topic, "$"), func(l *level) {
		if len(l.subs) > 0 {
			f(l)
		}
	})
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

// targets returns who gets a message. A session with several subscriptions that match gets it
// once, with the highest of their QoS.
func (l *level) targets(topic, origin string) (all []target) {
	var index map[*session]int // in all; from the second level on
	l.visit(topic, func(l *level) {
		if len(all) > 0 && index == nil {
			index = make(map[*session]int, len(all))
			for i, t := range all {
				index[t.session] = i
			}
		}
		for s, sub := range l.subs {
			if sub.NoLocal && s.id == origin {
				continue
			}
			if i, ok := index[s]; ok {
				all[i].merge(sub)
			} else {
				if index != nil {
					index[s] = len(all)
				}
				all = append(all, target{s, sub})
			}
		}
	})
	return all
}

// shared returns who gets a message because of a shared subscription: any session of each, of
// those that are connected if there are any.
func (l *level) shared(topic, _ string) (all []target) {
	if shares := l.next["$share"]; shares != nil {
		for _, share := range shares.next {
			share.visit(topic, func(l *level) { all = append(all, l.pick()) })
		}
	}
	return all
}

func (t *target) merge(sub subscription) {
	t.QoS = max(t.QoS, sub.QoS)
	t.RetainAsPublished = t.RetainAsPublished || sub.RetainAsPublished
	t.IDs = slices.Concat(t.IDs, sub.IDs)
}

func (l *level) pick() (t target) {
	n := 0
	for s, sub := range l.subs {
		connected := s.connected() != nil
		if connected {
			n++
		}
		if connected && rand.IntN(n) == 0 || t.session == nil {
			t = target{s, sub}
		}
	}
	return t
}

// validTopic reports whether a message can be published to a topic.
func validTopic(topic string) bool {
	return topic != "" && !strings.ContainsAny(topic, "+#") && !strings.HasPrefix(topic, "$share/")
}

// validFilter reports whether wildcards occupy whole levels and # is the last, and whether a
// shared subscription has a name.
func validFilter(filter string) bool {
	if share, shared := strings.CutPrefix(filter, "$share/"); shared {
		name, rest, _ := strings.Cut(share, "/")
		if filter = rest; name == "" || strings.ContainsAny(name, "+#") {
			return false
		}
	}
	levels := strings.Split(filter, "/")
	for i, name := range levels {
		if len(name) > 1 && strings.ContainsAny(name, "+#") || name == "#" && i < len(levels)-1 {
			return false
		}
	}
	return filter != ""
}
