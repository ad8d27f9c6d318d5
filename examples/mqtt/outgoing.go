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

// encodings holds a message with QoS 0 as most clients of a version are sent it, encoded once for
// all of them.
type encodings [2][]byte

// deliver sends the client a message, or keeps it until the client can be sent it.
func (s *session) deliver(m *message, sub subscription, once *encodings) {
	d := delivery{Msg: m, QoS: min(m.QoS, sub.QoS), Retain: m.Retain && sub.RetainAsPublished, IDs: sub.IDs}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case d.QoS > 0 && len(s.Queue) < s.sent+maxQueued:
		s.Queue = append(s.Queue, d)
		s.save()
	case d.QoS > 0 || s.conn == nil || s.unreadLocked() > maxUnread: // it is dropped
	case d.Retain || d.IDs != nil || s.maxSize > 0 || s.maxAliases > 0:
		s.appendLocked(&d, false)
	case once[s.version/5] != nil:
		s.out = append(s.out, once[s.version/5]...)
	default:
		n := len(s.out)
		s.appendLocked(&d, false)
		once[s.version/5] = slices.Clone(s.out[n:])
	}
	s.postLocked()
}

// unreadLocked returns how many bytes wait for the client to read.
func (s *session) unreadLocked() int { return s.conn.Outbound() + len(s.out) }

// findLocked returns where in the queue a message is that this connection was sent, or -1.
func (s *session) findLocked(id uint16) int {
	return slices.IndexFunc(s.Queue[:s.sent], func(d delivery) bool { return d.ID == id })
}

// acknowledge handles PUBACK, PUBREC, PUBREL and PUBCOMP.
func (s *session) acknowledge(pk *packet) error {
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
		s.out = encode(s.out, packets.Pubcomp, s.version, answer)
	case kind == packets.Pubrec && pk.ReasonCode < 0x80:
		if i < 0 {
			answer.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
		} else {
			s.Queue[i].Released, s.Queue[i].Msg = true, nil
		}
		s.out = encode(s.out, packets.Pubrel, s.version, answer)
	case i >= 0 && (kind == packets.Puback) == (s.Queue[i].QoS == 1):
		s.Queue = slices.Delete(s.Queue, i, i+1)
		s.sent--
	}
	s.postLocked()
	s.save()
	return nil
}

// appendLocked appends the PUBLISH of a delivery, or its PUBREL, to what the client is to be sent.
// It reports false if the client does not accept a packet of that size.
func (s *session) appendLocked(d *delivery, dup bool) bool {
	if d.Released {
		s.out = encode(s.out, packets.Pubrel, s.version, &packet{PacketID: d.ID})
		return true
	}
	m := d.Msg
	pk := &packet{TopicName: m.Topic, Payload: m.Payload, PacketID: d.ID, Properties: m.Props}
	pk.FixedHeader = packets.FixedHeader{Qos: d.QoS, Retain: d.Retain, Dup: dup && d.QoS > 0}
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
	out := encode(s.out, packets.Publish, s.version, pk)
	if s.maxSize > 0 && len(out)-len(s.out) > int(s.maxSize) {
		return false
	}
	if s.out = out; alias > 0 {
		put(&s.told, m.Topic, alias)
	}
	return true
}

// postLocked posts what the client is to be sent, and what may be sent of the queue. It releases
// mu meanwhile, so it must be the last that its caller does with the session. What others append in
// between is left to the one that posts.
func (s *session) postLocked() {
	if s.posting {
		return
	}
	s.posting = true
	for s.pumpLocked(); len(s.out) > 0 && s.conn != nil; s.pumpLocked() {
		c, p := s.conn, s.out
		s.out = nil
		s.mu.Unlock()
		_ = c.Post(p) // if it fails, the connection ends
		s.mu.Lock()
	}
	s.posting = false
}

// pumpLocked appends what may be sent of the queue to what the client is to be sent: as many
// messages at the same time as it accepts, and no more bytes than it can be expected to read. What
// an earlier connection has left unacknowledged comes first, and is sent again.
func (s *session) pumpLocked() {
	for s.connectedLocked() && s.sent < min(len(s.Queue), int(s.window)) {
		if s.sent > 0 && s.unreadLocked() > maxOutbound/4 {
			break // an acknowledgment will come, and then there is room
		}
		d := &s.Queue[s.sent]
		again := d.ID > 0
		for d.ID == 0 || !again && s.findLocked(d.ID) >= 0 {
			s.LastID++
			d.ID = s.LastID
		}
		if !again && d.Msg.expired() || !s.appendLocked(d, again) {
			s.Queue = slices.Delete(s.Queue, s.sent, s.sent+1)
		} else {
			s.sent++
		}
	}
	if len(s.Queue) == 0 {
		s.Queue = nil // which keeps memory
	}
}
