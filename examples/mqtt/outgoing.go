package main

import (
	"math"
	"slices"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	maxInflight = 256       // messages on their way to one client, unless it asks for fewer
	maxQueued   = 1000      // further messages with QoS 1 and 2 for one session; the newest are dropped
	maxUnread   = 256 << 10 // bytes that a client has not read, beyond which messages with QoS 0 are dropped
	maxOutbound = 4 << 20   // and beyond which it is closed; what QoS 1 and 2 allow is far less
)

// delivery is a message on its way to one session.
type delivery struct {
	Msg      *message `json:",omitempty"`
	QoS      byte
	Retain   bool   `json:",omitempty"`
	IDs      []int  `json:",omitempty"` // of the subscriptions that match
	ID       uint16 `json:",omitempty"` // of the packet; 0 until it is sent
	Released bool   `json:",omitempty"` // the client has it (PUBREC), and is sent PUBREL
}

// with returns the delivery of a message that one more subscription of the session matches.
func (d delivery) with(m *message, sub subscription) delivery {
	d.Msg, d.QoS = m, max(d.QoS, min(m.QoS, sub.QoS))
	d.Retain = d.Retain || m.Retain && sub.RetainAsPublished
	if sub.ID > 0 {
		d.IDs = append(d.IDs, sub.ID)
	}
	return d
}

// encodings holds a message with QoS 0 as most clients of a version are sent it, encoded once for
// all of them.
type encodings [2][]byte

// deliver sends the client a message, or keeps it until the client can be sent it.
func (s *session) deliver(d delivery, once *encodings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &once[s.version/5]
	switch {
	case d.QoS > 0 && len(s.Queue) < s.sent+maxQueued:
		s.Queue = append(s.Queue, d)
		s.pumpLocked()
	case d.QoS > 0 || s.conn == nil || s.conn.Outbound() > maxUnread: // it is dropped
	case d.Retain || d.IDs != nil || s.maxSize > 0 || s.maxAliases > 0:
		_ = s.conn.Post(s.encodeLocked(&d, false))
	default:
		if *p == nil {
			*p = s.encodeLocked(&d, false)
		}
		_ = s.conn.Post(*p)
	}
}

// findLocked returns where in the queue a message is that this connection was sent, or -1.
func (s *session) findLocked(id uint16) int {
	return slices.IndexFunc(s.Queue[:s.sent], func(d delivery) bool { return d.ID == id })
}

// acknowledge handles PUBACK, PUBREC, PUBREL and PUBCOMP.
func (s *session) acknowledge(pk *packet) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, kind := s.findLocked(pk.PacketID), pk.FixedHeader.Type
	answer := &packet{PacketID: pk.PacketID}
	switch {
	case kind == packets.Pubrel:
		if !s.Received[pk.PacketID] {
			answer.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
		}
		delete(s.Received, pk.PacketID)
		err = s.reply(packets.Pubcomp, answer)
	case kind == packets.Pubrec && pk.ReasonCode < 0x80:
		if i < 0 {
			answer.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
		} else {
			s.Queue[i].Released, s.Queue[i].Msg = true, nil
		}
		answer.FixedHeader.Qos = 1 // as the protocol has it for PUBREL
		err = s.reply(packets.Pubrel, answer)
	case i >= 0 && (kind == packets.Puback) == (s.Queue[i].QoS == 1):
		s.Queue = slices.Delete(s.Queue, i, i+1)
		s.sent--
	}
	s.pumpLocked()
	return err
}

// encodeLocked returns the PUBLISH of a delivery, or its PUBREL. It returns nil if the client does
// not accept a packet of that size, or if the message has expired before it was sent.
func (s *session) encodeLocked(d *delivery, again bool) []byte {
	if d.Released {
		return encode(packets.Pubrel, s.version, &packet{PacketID: d.ID, FixedHeader: packets.FixedHeader{Qos: 1}})
	}
	m := d.Msg
	if !again && m.expired() {
		return nil
	}
	pk := &packet{TopicName: m.Topic, Payload: m.Payload, PacketID: d.ID, Properties: m.Props}
	pk.FixedHeader = packets.FixedHeader{Qos: d.QoS, Retain: d.Retain, Dup: again}
	if !m.Expires.IsZero() {
		pk.Properties.MessageExpiryInterval = uint32(max(1, math.Ceil(time.Until(m.Expires).Seconds())))
	}
	pk.Properties.SubscriptionIdentifier = d.IDs
	alias, known := s.told[m.Topic]
	if known {
		pk.TopicName = ""
	} else if len(s.told) < int(s.maxAliases) {
		alias = uint16(len(s.told) + 1)
	}
	pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = alias, alias > 0
	p := encode(packets.Publish, s.version, pk)
	if s.maxSize > 0 && len(p) > int(s.maxSize) {
		return nil
	}
	if alias > 0 {
		put(&s.told, m.Topic, alias)
	}
	return p
}

// pumpLocked sends what may be sent of the queue: as many messages at the same time as the client
// accepts, and no more bytes than it can be expected to read. What an earlier connection has left
// unacknowledged comes first, and is sent again.
func (s *session) pumpLocked() {
	for s.connectedLocked() && s.sent < min(len(s.Queue), int(s.window)) {
		if s.sent > 0 && s.conn.Outbound() > maxOutbound/4 {
			break // an acknowledgment will come, and then there is room
		}
		d := &s.Queue[s.sent]
		again := d.ID > 0
		for d.ID == 0 || !again && s.findLocked(d.ID) >= 0 {
			s.LastID++
			d.ID = s.LastID
		}
		if p := s.encodeLocked(d, again); p != nil {
			_ = s.conn.Post(p) // if it fails, the connection ends
			s.sent++
		} else {
			s.Queue = slices.Delete(s.Queue, s.sent, s.sent+1)
		}
	}
	if len(s.Queue) == 0 {
		s.Queue = nil // which keeps memory
	}
	s.save()
}
