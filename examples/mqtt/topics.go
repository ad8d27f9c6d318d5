package main

import (
	"maps"
	"math/rand/v2"
	"regexp"
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

// merge returns what two subscriptions of a session that match a message ask for.
func (sub subscription) merge(other subscription) subscription {
	return subscription{
		QoS:               max(sub.QoS, other.QoS),
		RetainAsPublished: sub.RetainAsPublished || other.RetainAsPublished,
		IDs:               slices.Concat(sub.IDs, other.IDs),
	}
}

// level is a level of the tree of filters, with what is subscribed to there. A shared
// subscription is below the levels $share and NAME, as its filter says. The zero value is empty.
type level struct {
	next map[string]level
	subs map[*session]subscription
}

// set subscribes a session to a filter below l, or unsubscribes it if sub is nil. It makes the
// levels that are missing, and removes those that are empty.
func (l *level) set(filter string, s *session, sub *subscription) {
	name, rest, more := strings.Cut(filter, "/")
	next := l.next[name]
	switch {
	case more:
		next.set(rest, s, sub)
	case sub == nil:
		delete(next.subs, s)
	default:
		put(&next.subs, s, *sub)
	}
	if len(next.next)+len(next.subs) > 0 {
		put(&l.next, name, next)
	} else {
		delete(l.next, name)
	}
}

// match calls f for the levels below l whose filter matches a topic, with the subscriptions
// there, if any. Filters that begin with a wildcard do not match topics that begin with $.
func (l level) match(topic string, f func(subs map[*session]subscription)) {
	l.matchNames(strings.Split(topic, "/"), !strings.HasPrefix(topic, "$"), f)
}

func (l level) matchNames(names []string, wild bool, f func(subs map[*session]subscription)) {
	if wild {
		f(l.next["#"].subs)
	}
	if len(names) == 0 {
		f(l.subs)
	} else if len(l.next) > 0 {
		l.next[names[0]].matchNames(names[1:], true, f)
		if wild {
			l.next["+"].matchNames(names[1:], true, f)
		}
	}
}

// targets returns which sessions get a message: those that have subscribed, and one member of each
// shared subscription. A session with several subscriptions that match gets the message once.
func (b *broker) targets(m *message) map[*session]subscription {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make(map[*session]subscription)
	b.topics.match(m.Topic, func(subs map[*session]subscription) {
		for s, sub := range subs {
			if !sub.NoLocal || s.id != m.Origin {
				all[s] = all[s].merge(sub)
			}
		}
	})
	for _, share := range b.topics.next["$share"].next {
		share.match(m.Topic, func(subs map[*session]subscription) {
			if len(subs) > 0 {
				s := pick(subs)
				all[s] = all[s].merge(subs[s])
			}
		})
	}
	return all
}

// pick returns any of the sessions, of those that are connected if there are any.
func pick(subs map[*session]subscription) *session {
	members := slices.Collect(maps.Keys(subs))
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return members[max(0, slices.IndexFunc(members, (*session).connected))]
}

// validTopic reports whether a message can be published to a topic.
func validTopic(topic string) bool {
	return topic != "" && !strings.ContainsAny(topic, "+#") && !strings.HasPrefix(topic, "$share/")
}

// invalidFilter matches a filter that is empty, in which a wildcard is not a whole level or levels
// follow #, or of a shared subscription without a name or a filter of its own.
var invalidFilter = regexp.MustCompile(`^$|[^/][+#]|[+#][^/]|#/|^\$share/([^/]*[+#]|/|[^/]*/?$)`)
