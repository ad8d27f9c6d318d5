package main

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// subscribe handles SUBSCRIBE.
func (s *session) subscribe(pk *packet) error {
	ids := pk.Properties.SubscriptionIdentifier
	if code := pk.SubscribeValidate(); code != packets.CodeSuccess {
		return code
	} else if len(ids) > 1 || len(ids) == 1 && ids[0] == 0 {
		return packets.ErrProtocolViolation
	}
	ack := &packet{PacketID: pk.PacketID}
	retained := make(map[string]subscription) // by filter, whose retained messages follow the SUBACK
	for _, f := range pk.Filters {
		shared := strings.HasPrefix(f.Filter, "$share/")
		if shared && f.NoLocal || f.RetainHandling > 2 {
			return packets.ErrProtocolViolation
		}
		code := f.Qos
		switch {
		case f.Filter == s.broker.flags.Deny, s.version < 5 && invalidFilter.MatchString(f.Filter):
			code = packets.ErrUnspecifiedError.Code
		case invalidFilter.MatchString(f.Filter):
			code = packets.ErrTopicFilterInvalid.Code
		default:
			sub := subscription{QoS: f.Qos, NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, IDs: ids}
			before := s.setSubscription(f.Filter, &sub)
			if !shared && (f.RetainHandling == 0 || f.RetainHandling == 1 && !before) {
				retained[f.Filter] = sub
			}
		}
		ack.ReasonCodes = append(ack.ReasonCodes, code)
	}
	s.reply(packets.Suback, ack)
	for filter, sub := range retained {
		s.sendRetained(filter, sub)
	}
	return nil
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
	s.reply(packets.Unsuback, ack)
	return nil
}

// setSubscription subscribes a session to a filter, or unsubscribes it if sub is nil. It reports
// whether the session was subscribed before.
func (s *session) setSubscription(filter string, sub *subscription) (before bool) {
	s.mu.Lock()
	_, before = s.Subs[filter]
	if sub == nil {
		delete(s.Subs, filter)
	} else {
		put(&s.Subs, filter, *sub)
	}
	s.mu.Unlock()
	s.broker.mu.Lock()
	s.broker.topics.set(filter, s, sub)
	s.broker.mu.Unlock()
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
		s.deliver(m, sub, new(encodings))
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
