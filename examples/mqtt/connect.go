package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"math"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sessionwheel/sessionwheel/pool"
)

const (
	connectTimeout = 10 * time.Second // until the CONNECT, and for a takeover
	maxReceived    = 100              // messages with QoS 2 that a client may send at the same time
	maxAliases     = 16               // topic aliases that it may use
)

// connect handles CONNECT.
func (c *client) connect(pk *packets.Packet) error {
	c.version = pk.ProtocolVersion
	ack, err := c.admit(pk)
	if err != nil {
		c.refuse(err)
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context(), connectTimeout)
	defer cancel()
	// From here on, this connection is the only one with the ID: any earlier one has had its last
	// callback.
	id := pk.Connect.ClientIdentifier
	if err := c.Bind(ctx, id, nil); err != nil {
		c.refuse(packets.ErrServerUnavailable)
		return nil
	}
	s, present, err := c.broker.open(ctx, id, pk.Connect.Clean)
	if err != nil {
		c.refuse(packets.ErrServerUnavailable)
		return nil
	}
	ack.SessionPresent = present
	c.session = s
	if !s.attach(c, expiryOf(c.sessionExpiry(pk)), encode(nil, packets.Connack, ack)) {
		c.Close(pool.Replaced) // by another node, just now
	}
	return nil
}

// refusals are the codes of versions before 5. There are none for what is no MQTT.
var refusals = map[byte]byte{
	packets.ErrUnsupportedProtocolVersion.Code: 1,
	packets.ErrClientIdentifierNotValid.Code:   2,
	packets.ErrServerUnavailable.Code:          3,
	packets.ErrNotAuthorized.Code:              5,
}

// refuse answers a CONNECT with an error.
func (c *client) refuse(err error) {
	code := reasonOf(err)
	ack := packets.Packet{ReasonCode: code.Code}
	if c.version < 5 {
		ack.ReasonCode = refusals[code.Code]
	}
	if ack.ReasonCode > 0 {
		c.reply(packets.Connack, ack)
	}
	c.Finish(pool.Reason(code.Reason))
}

// admit checks a CONNECT, takes over what it says about the connection, and returns the CONNACK.
func (c *client) admit(pk *packets.Packet) (ack packets.Packet, err error) {
	ack.ProtocolVersion = c.version
	params, props := &pk.Connect, &pk.Properties
	checked := *pk
	checked.Connect.WillPayload = append([]byte{0}, params.WillPayload...) // the codec refuses an empty one
	if bytes.Equal(params.ProtocolName, []byte("MQTT")) && (c.version < 4 || c.version > 5) {
		return ack, packets.ErrUnsupportedProtocolVersion
	}
	if code := checked.ConnectValidate(); code != packets.CodeSuccess {
		return ack, code
	}
	if params.WillFlag && !validTopic(params.WillTopic) {
		return ack, packets.ErrTopicNameInvalid
	}
	if props.AuthenticationMethod != "" {
		return ack, packets.ErrBadAuthenticationMethod
	}
	if err := c.identify(pk, &ack); err != nil {
		return ack, err
	}
	keep := int(params.Keepalive)
	if most := c.broker.maxKeepAlive; c.version == 5 && most > 0 && (keep == 0 || keep > most) {
		keep = most
		ack.Properties.ServerKeepAlive, ack.Properties.ServerKeepAliveFlag = uint16(keep), true
	}
	c.SetIdleTimeout(time.Duration(keep)*1500*time.Millisecond - 1) // negative: none; a tick is more than the nanosecond
	c.window, c.maxSize, c.maxAliases = maxInflight, int(props.MaximumPacketSize), int(props.TopicAliasMaximum)
	if props.ReceiveMaximum > 0 {
		c.window = min(c.window, int(props.ReceiveMaximum))
	}
	c.plain = c.maxSize == 0 && c.maxAliases == 0
	if params.WillFlag {
		c.will = newMessage(params.ClientIdentifier, params.WillTopic, params.WillPayload, params.WillQos, params.WillRetain, &params.WillProperties)
		c.willDelay = time.Duration(params.WillProperties.WillDelayInterval) * time.Second
	}
	ack.Properties.ReceiveMaximum, ack.Properties.TopicAliasMaximum, ack.Properties.MaximumPacketSize = maxReceived, maxAliases, maxPacket
	return ack, nil
}

// identify decides about the client's ID. With a client certificate it is the common name.
func (c *client) identify(pk *packets.Packet, ack *packets.Packet) error {
	id := &pk.Connect.ClientIdentifier
	if state, ok := c.ConnectionState(); ok && len(state.PeerCertificates) > 0 {
		name := state.PeerCertificates[0].Subject.CommonName
		if *id != "" && *id != name {
			return packets.ErrNotAuthorized
		}
		if *id == "" {
			*id, ack.Properties.AssignedClientID = name, name
		}
	}
	switch {
	case *id != "":
		return nil
	case c.version < 5 && !pk.Connect.Clean:
		return packets.ErrClientIdentifierNotValid
	}
	*id = "auto-" + rand.Text()
	ack.Properties.AssignedClientID = *id
	return nil
}

// sessionExpiry returns the session expiry in seconds. Before version 5 a session that is not
// clean does not expire.
func (c *client) sessionExpiry(pk *packets.Packet) uint32 {
	switch {
	case c.version == 5:
		return pk.Properties.SessionExpiryInterval
	case pk.Connect.Clean:
		return 0
	}
	return math.MaxUint32
}

func expiryOf(seconds uint32) time.Duration {
	if seconds == math.MaxUint32 {
		return -1
	}
	return time.Duration(seconds) * time.Second
}

// open returns the session of a client ID, and reports whether it was there before. The caller
// is the only one that opens the session of this ID.
func (b *broker) open(ctx context.Context, id string, clean bool) (s *session, present bool, err error) {
	if e, ok := b.sessions.Get(id); ok {
		if !clean && e.Renew(-1) { // it does not expire while the client is connected
			return e.Conn(), true, nil
		}
		e.Close("Clean") // or it has just expired
		<-e.Done()
	}
	var r record
	if b.peers != nil && !clean {
		r, present = b.peers.fetch(ctx, id)
	}
	if s, err = b.create(ctx, id); err == nil && present {
		s.restore(r)
	}
	return s, present, err
}

func (b *broker) create(ctx context.Context, id string) (*session, error) {
	s := &session{id: id, broker: b}
	e, err := b.sessions.RegisterContext(ctx, id, s, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entry = e
	return s, err
}
