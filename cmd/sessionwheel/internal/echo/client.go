package echo

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// What a client may find wrong with a server.
var (
	ErrWrongEcho = errors.New("wrong echo")           // the answer was not what was sent
	ErrHandshake = errors.New("TLS handshake failed") // the server may not speak TLS
)

const (
	// ReplyTimeout is how long a client waits for the echo of one message.
	ReplyTimeout = 10 * time.Second

	// Dialing is how many clients should connect at once: as many as a listener's
	// backlog takes.
	Dialing = 64
)

// Client is one connection to an echo server. Its methods but Close are not safe
// for concurrent use.
type Client struct {
	net.Conn
	proto Protocol
	wire  []byte // the message as sent
	reply []byte // the echo as received
}

// Dial connects to addr, over TLS unless config is nil.
func Dial(ctx context.Context, addr string, config *tls.Config, proto Protocol) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, ReplyTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if config != nil {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
		}
		conn = secure
	}
	return &Client{Conn: conn, proto: proto}, nil
}

// Send writes one message. It returns the times just before and just after,
// between which the message left.
func (c *Client) Send(body []byte) (before, after time.Time, err error) {
	if c.wire, err = c.proto.Append(c.wire[:0], body); err != nil {
		return
	}
	before = time.Now()
	_ = c.SetWriteDeadline(before.Add(ReplyTimeout))
	_, err = c.Write(c.wire)
	return before, time.Now(), err
}

// Receive reads the echo of what was sent last and compares it.
func (c *Client) Receive() error {
	if cap(c.reply) < len(c.wire) {
		c.reply = make([]byte, len(c.wire))
	}
	c.reply = c.reply[:len(c.wire)]
	_ = c.SetReadDeadline(time.Now().Add(ReplyTimeout))
	if _, err := io.ReadFull(c, c.reply); err != nil {
		return err
	}
	if !bytes.Equal(c.reply, c.wire) {
		return ErrWrongEcho
	}
	return nil
}

// AwaitClose reads until the server closes the connection, and returns nil then. It
// returns an error when something else ends the connection, such as a Close here.
func (c *Client) AwaitClose() error {
	_ = c.SetReadDeadline(time.Time{})
	_, err := io.Copy(io.Discard, c.Conn)
	if err == nil || ClosedByPeer(err) {
		return nil
	}
	return err
}
