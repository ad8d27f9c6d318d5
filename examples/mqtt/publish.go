package main

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// message is what a client has published. It is immutable.
type message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool                `json:",omitempty"`
	Origin  string              `json:",omitempty"` // the ID of the client
	Expires time.Time           `json:",omitzero"`  // zero: never
	Props   *packets.Properties `json:",omitempty"` // nil: none
}

// newMessage makes a message of what is in a PUBLISH, or in the will of a CONNECT.
func newMessage(origin, topic string, payload []byte, qos byte, retain bool, props *packets.Properties) *message {
	m := &message{Topic: topic, Payload: payload, QoS: qos, Retain: retain, Origin: origin}
	if props.MessageExpiryInterval > 0 {
		m.Expires = time.Now().Add(time.Duration(props.MessageExpiryInterval) * time.Second)
	}
	if props.PayloadFormatFlag || props.ContentType != "" || props.ResponseTopic != "" || props.CorrelationData != nil || props.User != nil {
		p := props.Copy(false) // without the alias
		m.Props = &p
	}
	return m
}

func (m *message) expired() bool { return !m.Expires.IsZero() && !time.Now().Before(m.Expires) }

// publish handles PUBLISH.
func (c *client) publish(pk *packet, out *batch) error {
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
		if c.aliases[a] = pk.TopicName; pk.TopicName == "" {
			return packets.ErrTopicAliasInvalid
		}
	}
	if !validTopic(pk.TopicName) {
		return packets.ErrTopicNameInvalid
	}
	again := false
	switch pk.FixedHeader.Qos {
	case 1:
		c.reply(packets.Puback, &packet{PacketID: pk.PacketID})
	case 2:
		var ok bool
		if again, ok = c.session.receive(pk.PacketID); !ok {
			return packets.ErrReceiveMaximum
		}
		c.reply(packets.Pubrec, &packet{PacketID: pk.PacketID})
	}
	if !again {
		out.add(newMessage(c.session.id, pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.FixedHeader.Retain, &pk.Properties))
	}
	return nil
}

// receive notes a message with QoS 2. It reports whether the client has sent it again, and
// whether it may send it.
func (s *session) receive(id uint16) (again, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if again = s.received[id]; !again && len(s.received) >= maxReceived {
		return false, false
	}
	if s.received == nil {
		s.received = make(map[uint16]bool)
	}
	s.received[id] = true
	s.save()
	return again, true
}

// release handles PUBREL.
func (c *client) release(pk *packet) {
	complete, s := &packet{PacketID: pk.PacketID}, c.session
	s.mu.Lock()
	if !s.received[pk.PacketID] {
		complete.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
	}
	delete(s.received, pk.PacketID)
	s.mu.Unlock()
	s.save()
	c.reply(packets.Pubcomp, complete)
}

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
	for _, t := range b.targets(b.topics.targets, msgs[0]) {
		t.deliver(msgs, t.subscription, &once)
	}
	for i, m := range msgs {
		for _, t := range b.targets(b.topics.shared, m) {
			t.deliver(msgs[i:i+1], t.subscription, new(encodings))
		}
	}
}

func (b *broker) targets(of func(topic, origin string) []target, m *message) []target {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return of(m.Topic, m.Origin)
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
	b.store.mark(retainedBucket, m.Topic, func() any {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return b.retained[m.Topic]
	})
}
