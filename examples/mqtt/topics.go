package main

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// message is what a client has published. It is immutable.
type message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool               `json:",omitempty"`
	Origin  string             `json:",omitempty"` // the ID of the client
	Expires time.Time          `json:",omitzero"`  // zero: never
	Props   packets.Properties `json:",omitzero"`
}

// newMessage makes a message of what is in a PUBLISH, or in the will of a CONNECT.
func newMessage(origin, topic string, payload []byte, qos byte, retain bool, props *packets.Properties) *message {
	m := &message{Topic: topic, Payload: payload, QoS: qos, Retain: retain, Origin: origin, Props: *props}
	if props.MessageExpiryInterval > 0 {
		m.Expires = time.Now().Add(time.Duration(props.MessageExpiryInterval) * time.Second)
	}
	return m
}

func (m *message) expired() bool { return !m.Expires.IsZero() && !time.Now().Before(m.Expires) }

// publish handles PUBLISH.
func (s *session) publish(pk *packet) error {
	if code := pk.PublishValidate(maxAliases); code != packets.CodeSuccess {
		return code
	}
	if a := pk.Properties.TopicAlias; a > 0 {
		pk.TopicName = cmp.Or(pk.TopicName, s.aliases[a])
		if put(&s.aliases, a, pk.TopicName); pk.TopicName == "" {
			return packets.ErrTopicAliasInvalid
		}
	}
	if !validTopic(pk.TopicName) {
		return packets.ErrTopicNameInvalid
	}
	m := newMessage(s.id, pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.FixedHeader.Retain, &pk.Properties)
	ack, again := packets.Puback, false
	if m.QoS == 2 {
		ack, again = packets.Pubrec, s.Received[pk.PacketID]
		if !again && len(s.Received) == maxReceived {
			return packets.ErrReceiveMaximum
		}
		s.mu.Lock()
		put(&s.Received, pk.PacketID, true)
		s.mu.Unlock()
		s.save()
	}
	if !again {
		s.broker.publish(m)
	}
	if m.QoS == 0 {
		return nil
	}
	return s.reply(ack, &packet{PacketID: pk.PacketID})
}

// publish publishes a message on all nodes, if it is not nil.
func (b *broker) publish(m *message) {
	if m == nil {
		return
	}
	b.spread(m)
	if b.node != nil {
		tell(b.node, "", news{Message: m})
	}
}

// spread publishes a message on this node.
func (b *broker) spread(m *message) {
	if m.Retain {
		b.retain(m, true)
	}
	var once encodings
	for s, d := range b.deliveries(m) {
		s.deliver(d, &once)
	}
}

// subscribe handles SUBSCRIBE.
func (s *session) subscribe(pk *packet) error {
	ids := pk.Properties.SubscriptionIdentifier
	if code := pk.SubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	ack := &packet{PacketID: pk.PacketID}
	retained := make(map[string]subscription) // by filter, whose retained messages follow the SUBACK
	for _, f := range pk.Filters {
		shared := strings.HasPrefix(f.Filter, "$share/")
		if shared && f.NoLocal || f.RetainHandling > 2 || len(ids) > 1 || len(ids) == 1 && ids[0] == 0 {
			return packets.ErrProtocolViolation
		}
		code := f.Qos
		switch {
		case f.Filter == s.broker.flags.Deny, s.version < 5 && invalidFilter.MatchString(f.Filter):
			code = packets.ErrUnspecifiedError.Code
		case invalidFilter.MatchString(f.Filter):
			code = packets.ErrTopicFilterInvalid.Code
		default:
			sub := subscription{QoS: f.Qos, NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, ID: f.Identifier}
			before := s.setSubscription(f.Filter, &sub)
			if !shared && (f.RetainHandling == 0 || f.RetainHandling == 1 && !before) {
				retained[f.Filter] = sub
			}
		}
		ack.ReasonCodes = append(ack.ReasonCodes, code)
	}
	err := s.reply(packets.Suback, ack)
	for filter, sub := range retained {
		s.sendRetained(filter, sub)
	}
	return err
}

// unsubscribe handles UNSUBSCRIBE.
func (s *session) unsubscribe(pk *packet) error {
	if code := pk.UnsubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	ack := &packet{PacketID: pk.PacketID}
	for _, f := range pk.Filters {
		code := packets.CodeSuccess
		if !s.setSubscription(f.Filter, nil) {
			code = packets.CodeNoSubscriptionExisted
		}
		ack.ReasonCodes = append(ack.ReasonCodes, code.Code)
	}
	return s.reply(packets.Unsuback, ack)
}

// setSubscription subscribes a session to a filter, or unsubscribes it if sub is nil. It reports
// whether the session was subscribed before.
func (s *session) setSubscription(filter string, sub *subscription) (before bool) {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, before = s.Subs[filter]
	if sub == nil {
		delete(s.Subs, filter)
	} else {
		put(&s.Subs, filter, *sub)
	}
	s.broker.topics.set(filter, s, sub)
	s.save()
	return before
}

// sendRetained sends a new subscriber what is retained. It waits for the client to read, so that
// nothing has to be dropped.
func (s *session) sendRetained(filter string, sub subscription) {
	sub.RetainAsPublished = true
	for _, m := range s.broker.retainedFor(filter) {
		if sub.NoLocal && m.Origin == s.id {
			continue
		}
		if s.conn.Outbound() > maxUnread/2 && s.conn.Send(nil) != nil {
			return // the connection is closed
		}
		s.deliver(delivery{}.with(m, sub), new(encodings))
	}
}

// retainedFor returns the retained messages whose topics match a filter.
func (b *broker) retainedFor(filter string) (found []*message) {
	var tree level // of this filter alone
	tree.set(filter, nil, new(subscription))
	b.mu.RLock()
	defer b.mu.RUnlock()
	for topic, m := range b.retained {
		tree.match(topic, func(subs map[*session]subscription) {
			if len(subs) > 0 && !m.expired() {
				found = append(found, m)
			}
		})
	}
	return found
}

// retain keeps a message for later subscribers, in place of an earlier one if replace is set. One
// without a payload removes it.
func (b *broker) retain(m *message, replace bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(m.Payload) == 0 {
		delete(b.retained, m.Topic)
	} else if b.retained[m.Topic] == nil || replace {
		b.retained[m.Topic] = m
	}
	b.store.mark(retainedBucket, m.Topic, b.retained[m.Topic])
}

// subscription is how a session has subscribed to a filter.
type subscription struct {
	QoS               byte
	NoLocal           bool `json:",omitempty"`
	RetainAsPublished bool `json:",omitempty"`
	ID                int  `json:",omitempty"` // 0: none
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
	l.matchRest(topic, true, !strings.HasPrefix(topic, "$"), f)
}

func (l level) matchRest(topic string, more, wild bool, f func(subs map[*session]subscription)) {
	if wild {
		f(l.next["#"].subs)
	}
	if !more {
		f(l.subs)
	} else if len(l.next) > 0 {
		name, rest, more := strings.Cut(topic, "/")
		l.next[name].matchRest(rest, more, true, f)
		if wild {
			l.next["+"].matchRest(rest, more, true, f)
		}
	}
}

// deliveries returns which sessions get a message: those that have subscribed, and one member of
// each shared subscription. A session with several subscriptions that match gets the message once.
func (b *broker) deliveries(m *message) map[*session]delivery {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make(map[*session]delivery)
	b.topics.match(m.Topic, func(subs map[*session]subscription) {
		for s, sub := range subs {
			if !sub.NoLocal || s.id != m.Origin {
				all[s] = all[s].with(m, sub)
			}
		}
	})
	for _, share := range b.topics.next["$share"].next {
		share.match(m.Topic, func(subs map[*session]subscription) {
			if len(subs) > 0 {
				s := pick(subs)
				all[s] = all[s].with(m, subs[s])
			}
		})
	}
	return all
}

// pick returns any of the sessions, of those that are connected if there are any.
func pick(subs map[*session]subscription) *session {
	members := slices.Collect(maps.Keys(subs)) // in an order that is random enough
	return members[max(0, slices.IndexFunc(members, (*session).connected))]
}

// validTopic reports whether a message can be published to a topic.
func validTopic(topic string) bool {
	return topic != "" && !strings.ContainsAny(topic, "+#") && !strings.HasPrefix(topic, "$share/")
}

// invalidFilter matches a filter that is empty, in which a wildcard is not a whole level or levels
// follow #, or of a shared subscription without a name or a filter of its own.
var invalidFilter = regexp.MustCompile(`^$|[^/][+#]|[+#][^/]|#/|^\$share/([^/]*[+#]|/|[^/]*/?$)`)
