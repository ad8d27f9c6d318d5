package main

import (
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"
)

// deliver delivers messages with the same topic and QoS, in order.
func (s *session) deliver(msgs []*message, sub subscription, shared *encodings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.client
	switch {
	case min(msgs[0].QoS, sub.QoS) > 0:
		for _, m := range msgs {
			if len(s.queue) < maxQueued {
				s.queue = append(s.queue, m.to(sub))
			}
		}
		s.postLocked(s.pumpLocked(nil))
		s.save()
	case c == nil || c.Outbound() > maxUnread: // dropped, as QoS 0 allows
	case c.plain && !sub.RetainAsPublished && sub.IDs == nil:
		s.postLocked(shared.of(c.version, msgs))
	default:
		var out []byte
		for _, m := range msgs {
			d := m.to(sub)
			out, _ = c.encode(out, &d, false)
		}
		s.postLocked(out)
	}
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
		d.ID = s.nextIDLocked()
		var ok bool
		if out, ok = c.encode(out, &d, false); ok {
			s.inflight = append(s.inflight, d)
		}
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	return out
}

func (s *session) nextIDLocked() uint16 {
	for {
		if s.lastID++; s.lastID != 0 && s.findLocked(s.lastID) < 0 {
			return s.lastID
		}
	}
}

func (s *session) findLocked(id uint16) int {
	return slices.IndexFunc(s.inflight, func(d delivery) bool { return d.ID == id })
}

// resendLocked appends to out what the client has not acknowledged on its earlier connection.
func (s *session) resendLocked(out []byte) []byte {
	s.inflight = slices.DeleteFunc(s.inflight, func(d delivery) bool {
		if d.Released {
			out = encode(out, packets.Pubrel, packets.Packet{ProtocolVersion: s.client.version, PacketID: d.ID})
			return false
		}
		var ok bool
		out, ok = s.client.encode(out, &d, true)
		return !ok
	})
	return out
}

// acknowledge handles PUBACK, PUBREC and PUBCOMP.
func (s *session) acknowledge(pk *packets.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, kind := s.findLocked(pk.PacketID), pk.FixedHeader.Type
	var out []byte
	switch {
	case kind == packets.Pubrec && pk.ReasonCode < 0x80:
		release := packets.Packet{ProtocolVersion: pk.ProtocolVersion, PacketID: pk.PacketID}
		if i < 0 {
			release.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
		} else {
			s.inflight[i].Released, s.inflight[i].Msg = true, nil
		}
		out = encode(nil, packets.Pubrel, release)
	case i >= 0 && (kind == packets.Puback) == (s.inflight[i].QoS == 1):
		s.inflight = slices.Delete(s.inflight, i, i+1)
		if len(s.inflight) == 0 {
			s.inflight = nil
		}
	}
	s.postLocked(s.pumpLocked(out))
	s.save()
}

// postLocked sends p to the client. It releases mu meanwhile, so it must be the last that its
// caller does. Whoever comes in between leaves its bytes to the one that posts.
func (s *session) postLocked(p []byte) {
	if s.posting || len(p) == 0 {
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
