package main

import (
	"errors"
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
	code      byte     // why the broker closes the connection; 0: the reason says it
	aliases   []string // the topics of the client's aliases
	will      *message // nil: none
	willDelay time.Duration

	// Set by connect, and immutable then: what the client accepts.
	window     int // messages with QoS 1 and 2 at the same time
	maxSize    int // bytes of a packet; 0: any
	maxAliases int

	aliased map[string]uint16 // the aliases that the client was sent; guarded by session.mu
}

// receive is the OnMessage of package tcp, for a run of packets.
func (b *broker) receive(s *tcp.Session, run []byte) {
	c := s.Value().(*client)
	out := batch{broker: b}
	defer out.flush() // also what was published before a packet that is wrong
	pk := pooled.Get().(*packet)
	defer pooled.Put(pk)
	for len(run) > 0 && s.Reason() == "" {
		rest, err := decode(pk, run, c.version)
		if err == nil {
			err = c.handle(pk, &out)
		}
		if err != nil {
			code := reasonOf(err)
			c.code = code.Code
			c.Close(pool.Reason(code.Reason))
			return
		}
		run = rest
	}
}

// handle handles a packet. An error ends the connection, and its code is sent to the client.
func (c *client) handle(pk *packet, out *batch) error {
	kind := pk.FixedHeader.Type
	if (c.session == nil) != (kind == packets.Connect) { // it is the first packet, and the only one of its kind
		return packets.ErrProtocolViolation
	}
	if kind != packets.Publish {
		out.flush() // in order
	}
	switch kind {
	case packets.Connect:
		c.connect(pk)
	case packets.Publish:
		return c.publish(pk, out)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		c.session.acknowledge(pk)
	case packets.Pubrel:
		c.release(pk)
	case packets.Subscribe:
		return c.subscribe(pk)
	case packets.Unsubscribe:
		return c.unsubscribe(pk)
	case packets.Pingreq:
		c.reply(packets.Pingresp, &packet{})
	case packets.Disconnect:
		return c.disconnect(pk)
	}
	return nil
}

func (c *client) reply(kind byte, pk *packet) {
	_ = c.Post(encode(nil, kind, c.version, pk)) // if it fails, the session ends
}

// disconnect handles DISCONNECT.
func (c *client) disconnect(pk *packet) error {
	if pk.Properties.SessionExpiryIntervalFlag && !c.session.setExpiry(pk.Properties.SessionExpiryInterval) {
		return packets.ErrProtocolViolationZeroNonZeroExpiry
	}
	if pk.ReasonCode != packets.CodeDisconnectWillMessage.Code {
		c.will = nil
	}
	c.session.detach(c, "Disconnected") // before the client can know of it
	c.Finish("Disconnected")
	return nil
}

// setExpiry changes the session expiry, which cannot become more than 0 if it was 0.
func (s *session) setExpiry(seconds uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry == 0 && seconds > 0 {
		return false
	}
	s.expiry = expiryOf(seconds)
	return true
}

// farewells are the codes for the reasons for which package tcp and the pool end a connection.
var farewells = map[pool.Reason]byte{
	pool.Timeout:       packets.ErrKeepAliveTimeout.Code,
	pool.Replaced:      packets.ErrSessionTakenOver.Code,
	pool.Shutdown:      packets.ErrServerShuttingDown.Code,
	tcp.ReasonTooLarge: packets.ErrPacketTooLarge.Code,
	tcp.ReasonBadFrame: packets.ErrMalformedPacket.Code,

	tcp.ReasonFrameTimeout: packets.ErrKeepAliveTimeout.Code,
}

// farewell is the Farewell of package tcp. Before version 5 there is none.
func (b *broker) farewell(s *tcp.Session, r pool.Reason) []byte {
	c := s.Value().(*client)
	if c.session == nil || c.version != 5 {
		return nil
	}
	code := max(c.code, farewells[r]) // one of them is 0
	return encode(nil, packets.Disconnect, 5, &packet{ReasonCode: code})
}

// reasonOf returns the code of an error.
func reasonOf(err error) packets.Code {
	code := packets.ErrUnspecifiedError
	errors.As(err, &code)
	return code
}
