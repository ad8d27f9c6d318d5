package main

import (
	"math"
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
	p := props.Copy(false)
	p.WillDelayInterval = 0
	if p.MessageExpiryInterval > 0 {
		m.Expires = time.Now().Add(time.Duration(p.MessageExpiryInterval) * time.Second)
	}
	if p.PayloadFormatFlag || p.MessageExpiryInterval > 0 || p.ContentType != "" || p.ResponseTopic != "" || p.CorrelationData != nil || p.User != nil {
		m.Props = &p
	}
	return m
}

func (m *message) expired() bool { return !m.Expires.IsZero() && !time.Now().Before(m.Expires) }

// delivery is a message on its way to one session.
type delivery struct {
	Msg      *message `json:",omitempty"`
	QoS      byte
	Retain   bool   `json:",omitempty"`
	IDs      []int  `json:",omitempty"` // of the subscriptions that match
	ID       uint16 `json:",omitempty"` // of the packet; 0 until it is sent
	Released bool   `json:",omitempty"` // the client has it (PUBREC), and is sent PUBREL
}

// to returns how a message is delivered under a subscription.
func (m *message) to(sub subscription) delivery {
	return delivery{Msg: m, QoS: min(m.QoS, sub.QoS), Retain: m.Retain && sub.RetainAsPublished, IDs: sub.IDs}
}

// packet returns the PUBLISH of a delivery.
func (d *delivery) packet(version byte) packets.Packet {
	pk := packets.Packet{ProtocolVersion: version, TopicName: d.Msg.Topic, Payload: d.Msg.Payload, PacketID: d.ID}
	pk.FixedHeader.Qos, pk.FixedHeader.Retain = d.QoS, d.Retain
	if version == 5 {
		if d.Msg.Props != nil {
			pk.Properties = *d.Msg.Props
		}
		if !d.Msg.Expires.IsZero() {
			left := math.Ceil(time.Until(d.Msg.Expires).Seconds())
			pk.Properties.MessageExpiryInterval = uint32(max(1, left))
		}
		pk.Properties.SubscriptionIdentifier = d.IDs
	}
	return pk
}

// encodings holds messages with QoS 0 as they are sent to most clients of each version, encoded
// once for all of them.
type encodings struct{ v3, v5 []byte }

func (e *encodings) of(version byte, msgs []*message) []byte {
	p := &e.v3
	if version == 5 {
		p = &e.v5
	}
	if *p == nil {
		for _, m := range msgs {
			d := m.to(subscription{})
			*p = encode(*p, packets.Publish, d.packet(version))
		}
	}
	return *p
}
