package main

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// subscribe handles SUBSCRIBE.
func (c *client) subscribe(pk *packet) error {
	if code := pk.SubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	ids := pk.Properties.SubscriptionIdentifier
	if len(ids) > 1 || len(ids) == 1 && ids[0] == 0 {
		return packets.ErrProtocolViolation
	}
	ack := &packet{PacketID: pk.PacketID}
	var afterwards []func() // what is retained follows the SUBACK
	for _, f := range pk.Filters {
		shared := strings.HasPrefix(f.Filter, "$share/")
		if shared && f.NoLocal || f.RetainHandling > 2 {
			return packets.ErrProtocolViolation
		}
		code := f.Qos
		switch {
		case f.Filter == c.broker.deny, c.version < 5 && !validFilter(f.Filter):
			code = packets.ErrUnspecifiedError.Code
		case !validFilter(f.Filter):
			code = packets.ErrTopicFilterInvalid.Code
		default:
			sub := subscription{QoS: f.Qos, NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, IDs: ids}
			before := c.broker.subscribe(c.session, f.Filter, sub)
			if !shared && (f.RetainHandling == 0 || f.RetainHandling == 1 && !before) {
				afterwards = append(afterwards, func() { c.sendRetained(f.Filter, sub) })
			}
		}
		ack.ReasonCodes = append(ack.ReasonCodes, code)
	}
	c.reply(packets.Suback, ack)
	for _, f := range afterwards {
		f()
	}
	return nil
}

// subscribe subscribes a session, and reports whether it was subscribed to the filter before.
func (b *broker) subscribe(s *session, filter string, sub subscription) (before bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.subs == nil {
		s.subs = make(map[string]subscription)
	}
	_, before = s.subs[filter]
	s.subs[filter] = sub
	b.topics.subscribe(s, filter, sub)
	s.save()
	return before
}

// unsubscribe handles UNSUBSCRIBE.
func (c *client) unsubscribe(pk *packet) error {
	if code := pk.UnsubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	ack := &packet{PacketID: pk.PacketID}
	for _, f := range pk.Filters {
		code := packets.CodeSuccess
		if !c.broker.unsubscribe(c.session, f.Filter) {
			code = packets.CodeNoSubscriptionExisted
		}
		ack.ReasonCodes = append(ack.ReasonCodes, code.Code)
	}
	c.reply(packets.Unsuback, ack)
	return nil
}

func (b *broker) unsubscribe(s *session, filter string) (before bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, before = s.subs[filter]; before {
		delete(s.subs, filter)
		b.topics.unsubscribe(s, filter)
		s.save()
	}
	return before
}

// sendRetained sends a new subscriber what is retained. It waits for the client to read, so that
// nothing has to be dropped.
func (c *client) sendRetained(filter string, sub subscription) {
	sub.RetainAsPublished = true
	for _, m := range c.broker.retainedFor(filter) {
		if sub.NoLocal && m.Origin == c.session.id {
			continue
		}
		if c.Outbound() > maxUnread/2 && c.Send(nil) != nil {
			return // the session is closed
		}
		c.session.deliver([]*message{m}, sub, new(encodings))
	}
}

func (b *broker) retainedFor(filter string) (found []*message) {
	var tree level // of this filter alone
	tree.subscribe(nil, filter, subscription{})
	b.mu.RLock()
	defer b.mu.RUnlock()
	for topic, m := range b.retained {
		tree.visit(topic, func(*level) {
			if !m.expired() {
				found = append(found, m)
			}
		})
	}
	return found
}
