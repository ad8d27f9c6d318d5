package main

import (
	"bytes"
	"errors"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sessionwheel/sessionwheel/frame"
)

const (
	maxPacket = 1 << 20  // bytes of one packet; a larger one is answered with 0x95
	maxRun    = 64 << 10 // bytes of packets that are handled together, unless one alone is larger
)

// A packet is one byte, the length of what follows as a varint, and what follows.
var framing = frame.Varint{Max: maxPacket - 1}

// split is the bufio.SplitFunc of the protocol. Its token is a run: all whole packets that have
// arrived, so that what they publish can be sent to each subscriber in one write.
func split(data []byte, atEOF bool) (int, []byte, error) {
	run := 0
	for run < len(data) && run < maxRun {
		n, body, err := framing.Split(data[run+1:], atEOF)
		if err == nil && n-len(body) > 4 { // a varint of MQTT has four bytes at most
			err = packets.ErrMalformedVariableByteInteger
		}
		if err != nil && run == 0 {
			return 0, nil, err
		}
		if err != nil || n == 0 { // what comes before is handled first
			break
		}
		run += 1 + n
	}
	if run == 0 {
		return 0, nil, nil
	}
	return run, data[:run], nil
}

// decoders are those of the packets that a client may send.
var decoders = map[byte]func(*packets.Packet, []byte) error{
	packets.Connect:     (*packets.Packet).ConnectDecode,
	packets.Publish:     (*packets.Packet).PublishDecode,
	packets.Puback:      (*packets.Packet).PubackDecode,
	packets.Pubrec:      (*packets.Packet).PubrecDecode,
	packets.Pubrel:      (*packets.Packet).PubrelDecode,
	packets.Pubcomp:     (*packets.Packet).PubcompDecode,
	packets.Subscribe:   (*packets.Packet).SubscribeDecode,
	packets.Unsubscribe: (*packets.Packet).UnsubscribeDecode,
	packets.Pingreq:     (*packets.Packet).PingreqDecode,
	packets.Disconnect:  (*packets.Packet).DisconnectDecode,
	packets.Auth:        (*packets.Packet).AuthDecode,
}

// decode decodes the first packet of a run and returns the rest of the run. The codec panics on
// some malformed packets, which ends the session that sent them.
func decode(run []byte, version byte) (pk packets.Packet, rest []byte, err error) {
	pk.ProtocolVersion = version
	if err := pk.FixedHeader.Decode(run[0]); err != nil {
		return pk, nil, err
	}
	n, body, err := framing.Split(run[1:], true)
	if err != nil {
		return pk, nil, err
	}
	pk.FixedHeader.Remaining = len(body)
	decoder := decoders[pk.FixedHeader.Type]
	if decoder == nil {
		return pk, nil, packets.ErrProtocolViolation
	}
	body = bytes.Clone(body) // the decoded strings refer to it
	if err := decoder(&pk, body); err != nil {
		return pk, nil, err
	}
	if pk.FixedHeader.Type == packets.Disconnect && version == 5 && len(body) == 1 {
		pk.ReasonCode = body[0] // the codec overlooks a reason without properties
	}
	return pk, run[1+n:], nil
}

// encoders are those of the packets that a server sends.
var encoders = map[byte]func(*packets.Packet, *bytes.Buffer) error{
	packets.Connack:    (*packets.Packet).ConnackEncode,
	packets.Publish:    (*packets.Packet).PublishEncode,
	packets.Puback:     (*packets.Packet).PubackEncode,
	packets.Pubrec:     (*packets.Packet).PubrecEncode,
	packets.Pubrel:     (*packets.Packet).PubrelEncode,
	packets.Pubcomp:    (*packets.Packet).PubcompEncode,
	packets.Suback:     (*packets.Packet).SubackEncode,
	packets.Unsuback:   (*packets.Packet).UnsubackEncode,
	packets.Pingresp:   (*packets.Packet).PingrespEncode,
	packets.Disconnect: (*packets.Packet).DisconnectEncode,
}

// encode appends a packet of the given type to dst.
func encode(dst []byte, kind byte, pk packets.Packet) []byte {
	pk.FixedHeader.Type, pk.FixedHeader.Remaining = kind, 0
	if kind == packets.Pubrel {
		pk.FixedHeader.Qos = 1 // reserved bits that are set
	}
	pk.Mods.AllowResponseInfo = true // response topics pass through
	buf := bytes.NewBuffer(dst)
	if err := encoders[kind](&pk, buf); err != nil {
		panic(err) // only for packets that this program has made wrong
	}
	return buf.Bytes()
}

// reasonOf returns the reason code of an error.
func reasonOf(err error) packets.Code {
	code := packets.ErrUnspecifiedError
	errors.As(err, &code)
	return code
}
