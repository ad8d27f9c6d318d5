package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

// peer is a client that sends and reads single packets.
type peer struct {
	net.Conn
	t       testing.TB
	version byte
	r       *bufio.Reader
}

// dial connects without a CONNECT.
func dial(t testing.TB, addr string, version byte) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return &peer{conn, t, version, bufio.NewReader(conn)}
}

// login connects a client and returns it with its CONNACK.
func login(t testing.TB, addr string, version byte, id string, change ...func(*packets.Packet)) (*peer, packets.Packet) {
	t.Helper()
	p := connect(t, addr, version, id, change...)
	return p, p.want(packets.Connack)
}

// connect is login without waiting for the CONNACK.
func connect(t testing.TB, addr string, version byte, id string, change ...func(*packets.Packet)) *peer {
	t.Helper()
	p := dial(t, addr, version)
	pk := packets.Packet{Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: id, Clean: true}}
	for _, f := range change {
		f(&pk)
	}
	p.send(packets.Connect, pk)
	return p
}

func keeps(seconds uint32) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		pk.Connect.Clean = false
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = seconds, seconds > 0
	}
}

func keepAlive(seconds uint16) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Connect.Keepalive = seconds }
}

func will(topic string, delay uint32) func(*packets.Packet) {
	return func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte("will")
		pk.Connect.WillProperties.WillDelayInterval = delay
	}
}

// encoded returns a packet as a client sends it.
func (p *peer) encoded(kind byte, pk packets.Packet) []byte {
	pk.ProtocolVersion, pk.FixedHeader.Type = p.version, kind
	if kind == packets.Pubrel || kind == packets.Subscribe || kind == packets.Unsubscribe {
		pk.FixedHeader.Qos = 1
	}
	var buf bytes.Buffer
	encode := map[byte]func(*packets.Packet, *bytes.Buffer) error{
		packets.Connect: (*packets.Packet).ConnectEncode, packets.Subscribe: (*packets.Packet).SubscribeEncode,
		packets.Unsubscribe: (*packets.Packet).UnsubscribeEncode, packets.Pingreq: (*packets.Packet).PingreqEncode,
	}[kind]
	if encode == nil {
		encode = encoders[kind]
	}
	require.NoError(p.t, encode(&pk, &buf))
	return buf.Bytes()
}

func (p *peer) send(kind byte, pk packets.Packet) {
	p.t.Helper()
	_, err := p.Write(p.encoded(kind, pk))
	require.NoError(p.t, err)
}

// read returns the next packet, or the error at the end of the connection.
func (p *peer) read() (packets.Packet, error) {
	pk := packets.Packet{ProtocolVersion: p.version}
	first, err := p.r.ReadByte()
	if err != nil {
		return pk, err
	}
	require.NoError(p.t, pk.FixedHeader.Decode(first))
	size, _, err := packets.DecodeLength(p.r)
	if err != nil {
		return pk, err
	}
	pk.FixedHeader.Remaining = size
	body := make([]byte, size)
	if _, err := io.ReadFull(p.r, body); err != nil {
		return pk, err
	}
	decode := map[byte]func(*packets.Packet, []byte) error{
		packets.Connack: (*packets.Packet).ConnackDecode, packets.Suback: (*packets.Packet).SubackDecode,
		packets.Unsuback: (*packets.Packet).UnsubackDecode, packets.Pingresp: (*packets.Packet).PingrespDecode,
	}[pk.FixedHeader.Type]
	if decode == nil {
		decode = handlers[pk.FixedHeader.Type].decode
	}
	if pk.FixedHeader.Type == packets.Disconnect && size == 1 { // the codec overlooks it
		pk.ReasonCode = body[0]
	}
	require.NoError(p.t, decode(&pk, body))
	return pk, nil
}

// want reads a packet of the given kind.
func (p *peer) want(kind byte) packets.Packet {
	p.t.Helper()
	pk, err := p.read()
	require.NoError(p.t, err)
	require.Equal(p.t, packets.PacketNames[kind], packets.PacketNames[pk.FixedHeader.Type])
	return pk
}

// wantMessage reads a PUBLISH.
func (p *peer) wantMessage(topic, payload string) packets.Packet {
	p.t.Helper()
	pk := p.want(packets.Publish)
	require.Equal(p.t, topic, pk.TopicName)
	require.Equal(p.t, payload, string(pk.Payload))
	return pk
}

// wantSilence checks that nothing comes for a while.
func (p *peer) wantSilence(d time.Duration) {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(d)))
	pk, err := p.read()
	require.ErrorIs(p.t, err, os.ErrDeadlineExceeded, "%s came", packets.PacketNames[pk.FixedHeader.Type])
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(patience)))
}

// wantEnd reads what is left until the broker closes the connection. It returns the code of a
// DISCONNECT, or 0 if there was none.
func (p *peer) wantEnd() (code byte) {
	p.t.Helper()
	for {
		pk, err := p.read()
		if err != nil {
			require.False(p.t, errors.Is(err, os.ErrDeadlineExceeded), "the connection is still open")
			return code
		}
		if pk.FixedHeader.Type == packets.Disconnect {
			code = pk.ReasonCode
		}
	}
}

// subscribe subscribes to filters with the same QoS.
func (p *peer) subscribe(qos byte, filters ...string) {
	p.t.Helper()
	pk := packets.Packet{PacketID: 1}
	var want []byte
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: qos})
		want = append(want, qos)
	}
	p.send(packets.Subscribe, pk)
	require.Equal(p.t, want, p.want(packets.Suback).ReasonCodes)
}

// msg returns a PUBLISH with the packet ID 1, or 0 for QoS 0.
func msg(qos byte, topic, payload string) packets.Packet {
	pk := packets.Packet{TopicName: topic, Payload: []byte(payload)}
	if pk.FixedHeader.Qos = qos; qos > 0 {
		pk.PacketID = 1
	}
	return pk
}

// ping waits until the broker has handled all that was sent before.
func (p *peer) ping() {
	p.t.Helper()
	p.send(packets.Pingreq, packets.Packet{})
	p.want(packets.Pingresp)
}

func (p *peer) ack(kind byte, pk packets.Packet) {
	p.t.Helper()
	p.send(kind, packets.Packet{PacketID: pk.PacketID})
}
