package main

import (
	"bytes"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sessionwheel/sessionwheel/frame"
)

type packet = packets.Packet

const (
	maxPacket = 1 << 20  // bytes of one packet; a larger one is answered with 0x95
	maxRun    = 64 << 10 // bytes of packets that are handled together, unless one alone is larger
)

// framing is that of a packet after its first byte: a length, as a varint, and what follows.
var framing = frame.Varint{Max: maxPacket - 1}

// split is the bufio.SplitFunc of the protocol. Its token is a run: all whole packets that have
// arrived, so that what they publish can be sent to each subscriber in one write.
func split(data []byte, atEOF bool) (run int, token []byte, err error) {
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
	if run > 0 {
		token = data[:run]
	}
	return run, token, nil
}

// decoders are those of the packets that a client may send.
var decoders = map[byte]func(*packet, []byte) error{
	packets.Connect:     (*packet).ConnectDecode,
	packets.Publish:     (*packet).PublishDecode,
	packets.Puback:      (*packet).PubackDecode,
	packets.Pubrec:      (*packet).PubrecDecode,
	packets.Pubrel:      (*packet).PubrelDecode,
	packets.Pubcomp:     (*packet).PubcompDecode,
	packets.Subscribe:   (*packet).SubscribeDecode,
	packets.Unsubscribe: (*packet).UnsubscribeDecode,
	packets.Pingreq:     (*packet).PingreqDecode,
	packets.Disconnect:  (*packet).DisconnectDecode,
}

// pooled are packets for decode, each of which has more than a kilobyte.
var pooled = sync.Pool{New: func() any { return new(packet) }}

// decode decodes the first packet of a run into pk and returns the rest of the run. The codec
// panics on some malformed packets, which ends the session that sent them.
func decode(pk *packet, run []byte, version byte) (rest []byte, err error) {
	*pk = packet{ProtocolVersion: version}
	if err := pk.FixedHeader.Decode(run[0]); err != nil {
		return nil, err
	}
	n, body, err := framing.Split(run[1:], true)
	decoder := decoders[pk.FixedHeader.Type]
	if err != nil || decoder == nil {
		return nil, packets.ErrProtocolViolation
	}
	pk.FixedHeader.Remaining = len(body)
	if pk.FixedHeader.Type == packets.Disconnect && version == 5 && len(body) == 1 {
		pk.ReasonCode = body[0] // the codec overlooks a reason without properties
	}
	return run[1+n:], decoder(pk, bytes.Clone(body)) // the decoded strings refer to the body
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

// encode appends a packet of the given type to dst.
func encode(dst []byte, kind, version byte, pk *packet) []byte {
	pk.FixedHeader.Type, pk.ProtocolVersion = kind, version
	if kind == packets.Pubrel {
		pk.FixedHeader.Qos = 1 // reserved bits that are set
	}
	pk.Mods.AllowResponseInfo = true // response topics pass through
	buf := bytes.NewBuffer(dst)
	if err := encoders[kind](pk, buf); err != nil {
		panic(err) // only for packets that this program has made wrong
	}
	return buf.Bytes()
}
