package main

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// client is a connection. It is the value of a session of package tcp.
type client struct {
	*tcp.Session
	broker *broker

	// Set by connect; for the callbacks of the connection, which are serial.
	session   *session // nil until there was a CONNECT
	version   byte     // of the protocol: 3, 4 or 5
	will      *message // nil: none
	willDelay time.Duration
	aliases   []string // the topics of the client's aliases
	code      byte     // why the broker closes the connection; 0: the reason says it

	// Set by connect, and immutable then.
	window     int // messages with QoS 1 and 2 that the client accepts at the same time
	maxSize    int // bytes of a packet that it accepts; 0: any
	maxAliases int
	plain      bool // neither of the last two applies

	aliased map[string]uint16 // the aliases that the client was sent; guarded by session.mu
}

// receive is the OnMessage of package tcp, for a run of packets.
func (b *broker) receive(s *tcp.Session, run []byte) {
	c := s.Value().(*client)
	out := batch{broker: b}
	defer out.flush() // also what was published before a packet that is wrong
	for len(run) > 0 && s.Reason() == "" {
		pk, rest, err := decode(run, c.version)
		if err == nil {
			err = c.handle(&pk, &out)
		}
		if err != nil {
			c.fail(err)
			return
		}
		run = rest
	}
}

// handle handles a packet. An error is a packets.Code, and ends the connection.
func (c *client) handle(pk *packets.Packet, out *batch) error {
	kind := pk.FixedHeader.Type
	if (c.session == nil) != (kind == packets.Connect) { // it is the first packet, and the only one of its kind
		return packets.ErrProtocolViolation
	}
	switch kind {
	case packets.Connect:
		return c.connect(pk)
	case packets.Publish:
		return c.publish(pk, out)
	case packets.Pubrel:
		return c.release(pk)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		c.session.acknowledge(pk)
	case packets.Subscribe:
		out.flush()
		return c.subscribe(pk)
	case packets.Unsubscribe:
		out.flush()
		return c.unsubscribe(pk)
	case packets.Pingreq:
		c.reply(packets.Pingresp, packets.Packet{})
	case packets.Disconnect:
		return c.disconnect(pk)
	default: // there is no authentication beyond CONNECT
		return packets.ErrProtocolViolation
	}
	return nil
}

func (c *client) reply(kind byte, pk packets.Packet) {
	pk.ProtocolVersion = c.version
	_ = c.Post(encode(nil, kind, pk)) // if it fails, the session ends
}

// fail closes the connection because of what the client has sent.
func (c *client) fail(err error) {
	code := reasonOf(err)
	c.code = code.Code
	c.Close(pool.Reason(code.Reason))
}

// farewells are the reasons for which package tcp and the pool end a connection.
var farewells = map[pool.Reason]packets.Code{
	pool.Timeout:       packets.ErrKeepAliveTimeout,
	pool.Replaced:      packets.ErrSessionTakenOver,
	pool.Shutdown:      packets.ErrServerShuttingDown,
	tcp.ReasonTooLarge: packets.ErrPacketTooLarge,
	tcp.ReasonBadFrame: packets.ErrMalformedPacket,
}

// farewell is the Farewell of package tcp. Before version 5 there is none.
func (b *broker) farewell(s *tcp.Session, r pool.Reason) []byte {
	c := s.Value().(*client)
	if c.session == nil || c.version != 5 {
		return nil
	}
	code := c.code
	if code == 0 {
		code = packets.ErrUnspecifiedError.Code
		if known, ok := farewells[r]; ok {
			code = known.Code
		}
	}
	return encode(nil, packets.Disconnect, packets.Packet{ProtocolVersion: 5, ReasonCode: code})
}

// disconnect handles DISCONNECT.
func (c *client) disconnect(pk *packets.Packet) error {
	if pk.Properties.SessionExpiryIntervalFlag && !c.session.setExpiry(pk.Properties.SessionExpiryInterval) {
		return packets.ErrProtocolViolationZeroNonZeroExpiry
	}
	if pk.ReasonCode != packets.CodeDisconnectWillMessage.Code {
		c.will = nil
	}
	c.Finish("Disconnected")
	return nil
}

// setExpiry changes the session expiry, which may not become more than 0 if it was 0.
func (s *session) setExpiry(seconds uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry == 0 && seconds > 0 {
		return false
	}
	s.expiry = expiryOf(seconds)
	s.save()
	return true
}

// encode appends the PUBLISH of a delivery to dst. It reports false if that is larger than the
// client accepts. session.mu is held.
func (c *client) encode(dst []byte, d *delivery, dup bool) ([]byte, bool) {
	pk := d.packet(c.version)
	pk.FixedHeader.Dup = dup && d.QoS > 0
	if c.maxAliases > 0 {
		pk.Properties.TopicAlias = c.aliased[pk.TopicName]
		if pk.Properties.TopicAliasFlag = pk.Properties.TopicAlias > 0; pk.Properties.TopicAliasFlag {
			pk.TopicName = ""
		} else if len(c.aliased) < c.maxAliases {
			pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = uint16(len(c.aliased)+1), true
		}
	}
	out := encode(dst, packets.Publish, pk)
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
