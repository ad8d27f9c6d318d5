package main

import (
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
func (c *client) connect(pk *packet) {
	c.version = pk.ProtocolVersion
	ack := new(packet)
	if err := c.admit(pk, ack); err != nil {
		c.refuse(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	id := pk.Connect.ClientIdentifier
	// From then on, this connection is the only one with the ID: any earlier one has had its last
	// callback.
	err := c.Bind(ctx, id, nil)
	if err == nil {
		c.session, ack.SessionPresent, err = c.broker.open(ctx, id, pk.Connect.Clean)
	}
	if err != nil {
		c.refuse(packets.ErrServerUnavailable)
		return
	}
	expiry := pk.Properties.SessionExpiryInterval
	if c.version < 5 && !pk.Connect.Clean {
		expiry = math.MaxUint32
	}
	if !c.session.attach(c, expiryOf(expiry), encode(nil, packets.Connack, c.version, ack)) {
		c.Close(pool.Replaced) // by another node, just now
	}
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
	ack := &packet{ReasonCode: code.Code}
	if c.version < 5 {
		ack.ReasonCode = refusals[code.Code]
	}
	if ack.ReasonCode > 0 {
		c.reply(packets.Connack, ack)
	}
	c.Finish(pool.Reason(code.Reason))
}

// admit checks a CONNECT, takes over what it says about the connection, and fills in the CONNACK.
func (c *client) admit(pk, ack *packet) error {
	params, props, told := &pk.Connect, &pk.Properties, &ack.Properties
	payload := params.WillPayload
	params.WillPayload = append([]byte{0}, payload...) // the codec refuses an empty one
	code := pk.ConnectValidate()
	switch {
	case string(params.ProtocolName) == "MQTT" && (c.version < 4 || c.version > 5):
		return packets.ErrUnsupportedProtocolVersion
	case code != packets.CodeSuccess:
		return code
	case params.WillFlag && !validTopic(params.WillTopic):
		return packets.ErrTopicNameInvalid
	case props.AuthenticationMethod != "":
		return packets.ErrBadAuthenticationMethod
	}
	if err := c.identify(params, told); err != nil {
		return err
	}
	keep := int(params.Keepalive)
	if most := c.broker.maxKeepAlive; c.version == 5 && most > 0 && (keep == 0 || keep > most) {
		keep = most
		told.ServerKeepAlive, told.ServerKeepAliveFlag = uint16(keep), true
	}
	c.SetIdleTimeout(time.Duration(keep)*1500*time.Millisecond - 1) // negative: none
	c.window, c.maxSize, c.maxAliases = maxInflight, int(props.MaximumPacketSize), int(props.TopicAliasMaximum)
	if props.ReceiveMaximum > 0 {
		c.window = min(c.window, int(props.ReceiveMaximum))
	}
	if params.WillFlag {
		c.will = newMessage(params.ClientIdentifier, params.WillTopic, payload, params.WillQos, params.WillRetain, &params.WillProperties)
		c.willDelay = time.Duration(params.WillProperties.WillDelayInterval) * time.Second
	}
	told.ReceiveMaximum, told.TopicAliasMaximum, told.MaximumPacketSize = maxReceived, maxAliases, maxPacket
	return nil
}

// identify decides about the client's ID. With a client certificate it is the common name.
func (c *client) identify(params *packets.ConnectParams, told *packets.Properties) error {
	id := &params.ClientIdentifier
	name := *id
	if state, ok := c.ConnectionState(); ok && len(state.PeerCertificates) > 0 {
		name = state.PeerCertificates[0].Subject.CommonName
	}
	switch {
	case *id != "" && *id != name:
		return packets.ErrNotAuthorized
	case name == "" && c.version < 5 && !params.Clean:
		return packets.ErrClientIdentifierNotValid
	case name == "":
		name = "auto-" + rand.Text()
	}
	if *id == "" {
		*id, told.AssignedClientID = name, name
	}
	return nil
}

func expiryOf(seconds uint32) time.Duration {
	if seconds == math.MaxUint32 {
		return -1
	}
	return time.Duration(seconds) * time.Second
}
