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
		if pk.TopicName == "" {
			pk.TopicName = s.aliases[a]
		}
		if put(&s.aliases, a, pk.TopicName); pk.TopicName == "" {
			return packets.ErrTopicAliasInvalid
		}
	}
	if !validTopic(pk.TopicName) {
		return packets.ErrTopicNameInvalid
	}
	m := newMessage(s.id, pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.FixedHeader.Retain, &pk.Properties)
	switch m.QoS {
	case 1:
		s.reply(packets.Puback, &packet{PacketID: pk.PacketID})
	case 2:
		s.mu.Lock()
		again := s.Received[pk.PacketID]
		put(&s.Received, pk.PacketID, true)
		full := len(s.Received) > maxReceived
		s.mu.Unlock()
		if full {
			return packets.ErrReceiveMaximum
		}
		s.save()
		s.reply(packets.Pubrec, &packet{PacketID: pk.PacketID})
		if again {
			return nil
		}
	}
	s.broker.publish(m)
	return nil
}

// publish publishes a message on all nodes, if it is not nil.
func (b *broker) publish(m *message) {
	if m == nil {
		return
	}
	b.spread(m)
	if b.peers != nil {
		b.peers.send(subjectPublish, m)
	}
}

// spread publishes a message on this node.
func (b *broker) spread(m *message) {
	if m.Retain {
		b.retain(m, true)
	}
	var once encodings
	for s, sub := range b.targets(m) {
		s.deliver(m, sub, &once)
	}
}
