package main

import (
	"runtime"

	"github.com/mochi-mqtt/server/v2/packets"
)

// batch gathers messages of one client that follow each other and have the same topic and QoS.
type batch struct {
	broker *broker
	msgs   []*message
}

func (p *batch) add(m *message) {
	if len(p.msgs) > 0 && (p.msgs[0].Topic != m.Topic || p.msgs[0].QoS != m.QoS) {
		p.flush()
	}
	p.msgs = append(p.msgs, m)
}

func (p *batch) flush() {
	if len(p.msgs) > 0 {
		runtime.Gosched() // a SUBSCRIBE that arrived just before goes first: Go wakes the last reader first
		p.broker.publish(p.msgs...)
		p.msgs = nil
	}
}

// publish publishes messages with the same topic, origin and QoS.
func (b *broker) publish(msgs ...*message) {
	b.spread(msgs...)
	if b.peers != nil {
		b.peers.send(subjectPublish, msgs...)
	}
}

// spread publishes messages on this node.
func (b *broker) spread(msgs ...*message) {
	for _, m := range msgs {
		if m.Retain {
			b.retain(m, true)
		}
	}
	var once encodings
	b.mu.RLock()
	targets := b.topics.targets(msgs[0].Topic, msgs[0].Origin)
	b.mu.RUnlock()
	for _, t := range targets {
		t.deliver(msgs, t.subscription, &once)
	}
	for i, m := range msgs {
		b.mu.RLock()
		targets := b.topics.shared(m.Topic)
		b.mu.RUnlock()
		for _, t := range targets {
			t.deliver(msgs[i:i+1], t.subscription, new(encodings))
		}
	}
}

// retain keeps a message for later subscribers. One without a payload removes it.
func (b *broker) retain(m *message, replace bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(m.Payload) == 0 {
		delete(b.retained, m.Topic)
	} else if b.retained[m.Topic] == nil || replace {
		b.retained[m.Topic] = m
	}
	b.store.mark(retainedBucket, m.Topic, func() any {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return b.retained[m.Topic]
	})
}

// publish handles PUBLISH.
func (c *client) publish(pk *packets.Packet, out *batch) error {
	if code := pk.PublishValidate(maxAliases); code != packets.CodeSuccess {
		return code
	}
	if a := int(pk.Properties.TopicAlias); a > 0 {
		if c.aliases == nil {
			c.aliases = make([]string, maxAliases+1)
		}
		if pk.TopicName == "" {
			pk.TopicName = c.aliases[a]
		}
		c.aliases[a] = pk.TopicName
	}
	if pk.TopicName == "" {
		return packets.ErrTopicAliasInvalid
	} else if !validTopic(pk.TopicName) {
		return packets.ErrTopicNameInvalid
	}
	m := newMessage(c.session.id, pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.FixedHeader.Retain, &pk.Properties)
	switch m.QoS {
	case 1:
		c.reply(packets.Puback, packets.Packet{PacketID: pk.PacketID})
	case 2:
		again, err := c.session.receive(pk.PacketID)
		if err != nil {
			return err
		}
		c.reply(packets.Pubrec, packets.Packet{PacketID: pk.PacketID})
		if again {
			return nil
		}
	}
	out.add(m)
	return nil
}

// receive notes a message with QoS 2. It reports whether the client has sent it again.
func (s *session) receive(id uint16) (again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.received[id] {
		return true, nil
	}
	if len(s.received) >= maxReceived {
		return false, packets.ErrReceiveMaximum
	}
	if s.received == nil {
		s.received = make(map[uint16]bool)
	}
	s.received[id] = true
	s.save()
	return false, nil
}

// release handles PUBREL.
func (c *client) release(pk *packets.Packet) error {
	complete := packets.Packet{PacketID: pk.PacketID}
	if !c.session.forget(pk.PacketID) {
		complete.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
	}
	c.reply(packets.Pubcomp, complete)
	return nil
}

func (s *session) forget(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.received[id]
	if delete(s.received, id); len(s.received) == 0 {
		s.received = nil
	}
	s.save()
	return known
}
