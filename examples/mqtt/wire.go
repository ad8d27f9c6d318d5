package main

import (
	"bytes"
	"encoding/binary"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sessionwheel/sessionwheel/frame"
	"github.com/sessionwheel/sessionwheel/tcp"
)

type packet = packets.Packet

const maxPacket = 1 << 20 // bytes of one packet; a larger one is answered with 0x95

// framing is that of the protocol: a byte, a length of four bytes at most, and what follows.
var framing = frame.Varint{Offset: 1, Size: 4, Max: maxPacket}

// handlers decode and handle the packets of a client that is connected. An error of theirs ends
// the connection, and its code is sent to the client.
var handlers = map[byte]struct {
	decode func(*packet, []byte) error
	handle func(*session, *packet) error
}{
	packets.Publish:     {(*packet).PublishDecode, (*session).publish},
	packets.Puback:      {(*packet).PubackDecode, (*session).acknowledge},
	packets.Pubrec:      {(*packet).PubrecDecode, (*session).acknowledge},
	packets.Pubrel:      {(*packet).PubrelDecode, (*session).acknowledge},
	packets.Pubcomp:     {(*packet).PubcompDecode, (*session).acknowledge},
	packets.Subscribe:   {(*packet).SubscribeDecode, (*session).subscribe},
	packets.Unsubscribe: {(*packet).UnsubscribeDecode, (*session).unsubscribe},
	packets.Pingreq:     {(*packet).PingreqDecode, (*session).ping},
	packets.Disconnect:  {(*packet).DisconnectDecode, (*session).leave},
}

// encoders are those of the packets that a server sends.
var encoders = map[byte]func(*packet, *bytes.Buffer) error{
	packets.Connack:    (*packet).ConnackEncode,
	packets.Publish:    (*packet).PublishEncode,
	packets.Puback:     (*packet).PubackEncode,
	packets.Pubrec:     (*packet).PubrecEncode,
	packets.Pubrel:     (*packet).PubrelEncode,
	packets.Pubcomp:    (*packet).PubcompEncode,
	packets.Suback:     (*packet).SubackEncode,
	packets.Unsuback:   (*packet).UnsubackEncode,
	packets.Pingresp:   (*packet).PingrespEncode,
	packets.Disconnect: (*packet).DisconnectEncode,
}

// handle decodes and handles a packet of the session's client; before the CONNECT, s is nil. The
// codec panics on some malformed packets, which ends the connection that sent them.
func (b *broker) handle(c *tcp.Session, s *session, p []byte) error {
	pk := new(packet)
	if err := pk.FixedHeader.Decode(p[0]); err != nil {
		return err
	}
	_, n := binary.Uvarint(p[1:])
	body := bytes.Clone(p[1+n:]) // the decoded strings refer to it
	pk.FixedHeader.Remaining = len(body)
	kind := pk.FixedHeader.Type
	if s == nil && kind == packets.Connect {
		if err := pk.ConnectDecode(body); err != nil {
			return err
		}
		return b.connect(c, pk)
	}
	h, ok := handlers[kind]
	if s == nil || !ok {
		return packets.ErrProtocolViolation
	}
	pk.ProtocolVersion = s.version
	if kind == packets.Disconnect && len(body) == 1 {
		pk.ReasonCode = body[0] // the codec overlooks a reason without properties
	}
	if err := h.decode(pk, body); err != nil {
		return err
	}
	return h.handle(s, pk)
}

// encode returns a packet of the given type.
func encode(kind, version byte, pk *packet) []byte {
	pk.FixedHeader.Type, pk.ProtocolVersion = kind, version
	pk.Mods.AllowResponseInfo = true // response topics pass through
	buf := new(bytes.Buffer)
	if err := encoders[kind](pk, buf); err != nil {
		panic(err) // only for packets that this program has made wrong
	}
	return buf.Bytes()
}
