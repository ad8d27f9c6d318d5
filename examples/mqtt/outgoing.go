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

// to returns how a message is delivered under a subscription.
func (m *message) to(sub subscription) delivery {
	return delivery{Msg: m, QoS: min(m.QoS, sub.QoS), Retain: m.Retain && sub.RetainAsPublished, IDs: sub.IDs}
}

// encode appends the PUBLISH of a delivery to dst, as the client accepts it. It reports false if
// it is larger than that. session.mu is held.
func (c *client) encode(dst []byte, d *delivery, dup bool) (_ []byte, ok bool) {
	pk := &packet{TopicName: d.Msg.Topic, Payload: d.Msg.Payload, PacketID: d.ID}
	pk.FixedHeader.Qos, pk.FixedHeader.Retain, pk.FixedHeader.Dup = d.QoS, d.Retain, dup && d.QoS > 0
	if props := &pk.Properties; c.version == 5 {
		if d.Msg.Props != nil {
			*props = *d.Msg.Props
		}
		if !d.Msg.Expires.IsZero() {
			props.MessageExpiryInterval = uint32(max(1, math.Ceil(time.Until(d.Msg.Expires).Seconds())))
		}
		props.SubscriptionIdentifier = d.IDs
		if props.TopicAlias = c.aliased[d.Msg.Topic]; props.TopicAlias > 0 {
			pk.TopicName = ""
		} else if len(c.aliased) < c.maxAliases {
			props.TopicAlias = uint16(len(c.aliased) + 1)
		}
		props.TopicAliasFlag = props.TopicAlias > 0
	}
	out := encode(dst, packets.Publish, c.version, pk)
	if c.maxSize > 0 && len(out)-len(dst) > c.maxSize {
		return dst, false
	}
	if pk.Properties.TopicAliasFlag && pk.TopicName != "" {
		if c.aliased == nil {
			c.aliased = make(map[string]uint16)
		}
		c.aliased[pk.TopicName] = pk.Properties.TopicAlias
	}
	return out, true
}

// encodings holds messages with QoS 0 as most clients of a version are sent them, encoded once
// for all of these.
type encodings [2][]byte

// deliver delivers messages with the same topic and QoS, in order.
func (s *session) deliver(msgs []*message, sub subscription, once *encodings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.client
	if min(msgs[0].QoS, sub.QoS) > 0 {
		for _, m := range msgs {
			if len(s.queue) < maxQueued {
				s.queue = append(s.queue, m.to(sub))
			}
		}
		s.postLocked(s.pumpLocked(nil))
		s.save()
		return
	}
	if c == nil || c.Outbound() > maxUnread {
		return // they are dropped, as QoS 0 allows
	}
	p := new([]byte)
	if !sub.RetainAsPublished && sub.IDs == nil && c.maxSize == 0 && c.maxAliases == 0 {
		p = &once[c.version/5]
	}
	if *p == nil {
		for _, m := range msgs {
			d := m.to(sub)
			*p, _ = c.encode(*p, &d, false)
		}
	}
	s.postLocked(*p)
}

// pumpLocked appends to out what may be sent of the queue: as many messages at the same time as
// the client accepts, and no more bytes than it can be expected to read.
func (s *session) pumpLocked(out []byte) []byte {
	for c := s.client; c != nil && len(s.queue) > 0 && len(s.inflight) < c.window; s.queue = s.queue[1:] {
		if len(s.inflight) > 0 && c.Outbound()+len(out) > maxOutbound/4 {
			break // an acknowledgment will come, and then there is room
		}
		d := s.queue[0]
		if d.Msg.expired() {
			continue
		}
		for d.ID == 0 || s.findLocked(d.ID) >= 0 {
			s.lastID++
			d.ID = s.lastID
		}
		var ok bool
		if out, ok = c.encode(out, &d, false); ok {
			s.inflight = append(s.inflight, d)
		}
	}
	if len(s.queue) == 0 {
		s.queue = nil // which keeps the messages
	}
	return out
}

func (s *session) findLocked(id uint16) int {
	return slices.IndexFunc(s.inflight, func(d delivery) bool { return d.ID == id })
}

// resendLocked appends to out what the client has not acknowledged on its earlier connection.
func (s *session) resendLocked(out []byte) []byte {
	s.inflight = slices.DeleteFunc(s.inflight, func(d delivery) bool {
		if d.Released {
			out = encode(out, packets.Pubrel, s.client.version, &packet{PacketID: d.ID})
			return false
		}
		var ok bool
		out, ok = s.client.encode(out, &d, true)
		return !ok
	})
	return out
}

// acknowledge handles PUBACK, PUBREC and PUBCOMP.
func (s *session) acknowledge(pk *packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []byte
	i, kind := s.findLocked(pk.PacketID), pk.FixedHeader.Type
	switch {
	case kind == packets.Pubrec && pk.ReasonCode < 0x80:
		release := &packet{PacketID: pk.PacketID}
		if i < 0 {
			release.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
		} else {
			s.inflight[i].Released, s.inflight[i].Msg = true, nil
		}
		out = encode(nil, packets.Pubrel, pk.ProtocolVersion, release)
	case i >= 0 && (kind == packets.Puback) == (s.inflight[i].QoS == 1):
		s.inflight = slices.Delete(s.inflight, i, i+1)
	}
	s.postLocked(s.pumpLocked(out))
	s.save()
}

// postLocked sends p to the client. It releases mu meanwhile, so it must be the last that its
// caller does. Whoever comes in between leaves its bytes to the one that posts.
func (s *session) postLocked(p []byte) {
	if s.posting {
		s.out = append(s.out, p...)
		return
	}
	s.posting = true
	for len(p) > 0 && s.client != nil {
		c := s.client
		s.mu.Unlock()
		_ = c.Post(p) // if it fails, the session of package tcp ends
		s.mu.Lock()
		p, s.out = s.out, nil
	}
	s.posting = false
}
