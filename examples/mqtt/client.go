package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"math"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

const (
	connectTimeout = 10 * time.Second // until the CONNECT, and for a takeover
	maxReceived    = 100              // messages with QoS 2 that a client may send at the same time
	maxAliases     = 16               // topic aliases that it may use
)

// link is a session's connection, and what its CONNECT says about it.
type link struct {
	conn       *tcp.Session      // nil: the client is away
	will       *message          // nil: none
	aliases    map[uint16]string // the topics of the client's aliases
	told       map[string]uint16 // the aliases that it was sent, by topic
	expiry     uint32            // of the session, in seconds after the connection; math.MaxUint32: never
	maxSize    uint32            // bytes of a packet that the client accepts; 0: any
	maxAliases uint16            // aliases that it accepts
	sent       int               // how many messages of the queue it was sent: they come first
	window     uint16            // messages with QoS 1 and 2 that it accepts at the same time
	version    byte              // of the protocol: 3, 4 or 5
}

// receive is the OnMessage of package tcp. The value of a connection is its session, nil until
// there was a CONNECT.
func (b *broker) receive(c *tcp.Session, p []byte) {
	s, _ := c.Value().(*session)
	if err := b.handle(c, s, p); err != nil {
		code := reasonOf(err)
		if s != nil && s.version == 5 {
			_ = s.reply(packets.Disconnect, &packet{ReasonCode: code.Code})
		}
		c.Finish(pool.Reason(code.Reason))
	}
}

// reasonOf returns the code of an error. Only those for which there is no session have none.
func reasonOf(err error) packets.Code {
	code := packets.ErrServerUnavailable
	errors.As(err, &code)
	return code
}

// connect handles CONNECT.
func (b *broker) connect(c *tcp.Session, pk *packet) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	ack := new(packet)
	l, err := b.admit(c, pk, ack)
	for err == nil { // until no other client comes in between
		var e *entry
		e, err = b.open(ctx, pk.Connect.ClientIdentifier, pk.Connect.Clean)
		if err == nil && e.Conn().attach(e, l, ack) {
			e.Conn().takeWill() // the client is back
			return nil
		}
	}
	code := reasonOf(err)
	if pk.ProtocolVersion < 5 {
		code.Code = packets.V5CodesToV3[code].Code
	}
	if code.Code > 0 { // there is none for what is no MQTT
		_ = c.Post(encode(packets.Connack, pk.ProtocolVersion, &packet{ReasonCode: code.Code}))
	}
	return err
}

// admit checks a CONNECT, and fills in the CONNACK.
func (b *broker) admit(c *tcp.Session, pk, ack *packet) (l link, err error) {
	params, props, told := &pk.Connect, &pk.Properties, &ack.Properties
	payload := params.WillPayload
	params.WillPayload = append([]byte{0}, payload...) // the codec refuses an empty one
	code := pk.ConnectValidate()
	switch {
	case string(params.ProtocolName) == "MQTT" && (pk.ProtocolVersion < 4 || pk.ProtocolVersion > 5):
		return l, packets.ErrUnsupportedProtocolVersion
	case code != packets.CodeSuccess:
		return l, code
	case params.WillFlag && !validTopic(params.WillTopic):
		return l, packets.ErrTopicNameInvalid
	case props.AuthenticationMethod != "":
		return l, packets.ErrBadAuthenticationMethod
	}
	given, id := params.ClientIdentifier, params.ClientIdentifier
	if state, ok := c.ConnectionState(); ok && len(state.PeerCertificates) > 0 {
		id = state.PeerCertificates[0].Subject.CommonName
	}
	switch {
	case given != "" && given != id, id == "" && !params.Clean && pk.ProtocolVersion < 5:
		return l, packets.ErrClientIdentifierNotValid
	case id == "":
		id = "auto-" + rand.Text()
	}
	if given == "" {
		params.ClientIdentifier, told.AssignedClientID = id, id
	}
	keep := params.Keepalive
	if most := b.flags.MaxKeepAlive; pk.ProtocolVersion == 5 && most > 0 && (keep == 0 || keep > most) {
		keep = most
		told.ServerKeepAlive, told.ServerKeepAliveFlag = keep, true
	}
	c.SetIdleTimeout(time.Duration(keep)*1500*time.Millisecond - 1) // negative: none
	l.conn, l.version, l.window = c, pk.ProtocolVersion, min(maxInflight, cmp.Or(props.ReceiveMaximum, maxInflight))
	l.maxSize, l.maxAliases = props.MaximumPacketSize, props.TopicAliasMaximum
	if params.WillFlag {
		l.will = newMessage(id, params.WillTopic, payload, params.WillQos, params.WillRetain, &params.WillProperties)
	}
	if l.expiry = props.SessionExpiryInterval; l.version < 5 && !params.Clean {
		l.expiry = math.MaxUint32
	}
	told.ReceiveMaximum, told.TopicAliasMaximum, told.MaximumPacketSize = maxReceived, maxAliases, maxPacket
	return l, nil
}

// reply posts a packet. If that fails, the connection ends.
func (s *session) reply(kind byte, pk *packet) error { return s.conn.Post(encode(kind, s.version, pk)) }

// ping handles PINGREQ.
func (s *session) ping(pk *packet) error { return s.reply(packets.Pingresp, pk) }

// leave handles DISCONNECT.
func (s *session) leave(pk *packet) error {
	expiry, changed := pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag
	if changed && expiry > 0 && s.Expiry == 0 {
		return packets.ErrProtocolViolationZeroNonZeroExpiry
	}
	s.mu.Lock()
	if changed {
		s.Expiry = expiry
	}
	if pk.ReasonCode != packets.CodeDisconnectWillMessage.Code {
		s.will = nil
	}
	s.mu.Unlock()
	s.conn.Finish("Disconnected")
	return nil
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
func (b *broker) farewell(c *tcp.Session, r pool.Reason) []byte {
	if s, _ := c.Value().(*session); s == nil || s.version != 5 {
		return nil
	}
	return encode(packets.Disconnect, 5, &packet{ReasonCode: farewells[r]})
}
