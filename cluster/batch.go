package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The requests to the broker that nats.go does not have, or not as they are needed.

// maxBatch is the maximum number of keys in one request to a broker, which answers up to
// 1,024, and maxBatchBytes of their bytes.
const (
	maxBatch      = 1000
	maxBatchBytes = 200 << 10
)

// The headers of a message that was read directly.
const (
	headerSubject  = "Nats-Subject"
	headerSequence = "Nats-Sequence"
	headerPending  = "Nats-Num-Pending"
	headerStatus   = "Status"
)

// A broker that is asked for scanBatch messages, or scanBytes of them, executes no write to the
// stream until it has answered.
const (
	scanBatch = 5000
	scanBytes = 1 << 20
)

// errInterrupted means that a request was lost with the connection, which is back.
var errInterrupted = errors.New("connection was lost during a request")

// getMany reads many keys with one request: the entries of those that have one, or a marker.
// Any broker that has the stream may answer, however far it lags behind: whoever decides by
// it reads again.
func (b *bucket) getMany(ctx context.Context, keys []string) (map[string]kvEntry, error) {
	subjects := make([]string, len(keys))
	for i, key := range keys {
		subjects[i] = b.subject(key)
	}
	found := make(map[string]kvEntry, len(keys))
	_, err := b.getDirect(ctx, map[string]any{"multi_last": subjects}, 3*b.attempt, func(key string, e kvEntry) bool {
		found[key] = e
		return true
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// getFrom reads entries and markers in the order of their revisions, beginning with rev, and
// calls f for each until f returns false. It reports whether it has reached the end of the
// stream of the broker that answered.
func (b *bucket) getFrom(ctx context.Context, rev uint64, f func(key string, e kvEntry) bool) (end bool, err error) {
	got := 0
	q := map[string]any{"seq": rev, "batch": scanBatch, "max_bytes": scanBytes}
	left, err := b.getDirect(ctx, q, scanTimeout, func(key string, e kvEntry) bool {
		got++
		return f(key, e)
	})
	// Brokers before 2.12 may execute writes during an answer, and then count too few that
	// are left. But an answer that is shorter than it may be has reached the end.
	return err == nil && left == 0 && got < scanBatch, err
}

// getDirect sends a request for many messages to any broker that has the stream, and calls f
// for each message until f returns false. It returns the number of messages that the broker
// has left. The broker may be silent for as long as silence says.
func (b *bucket) getDirect(ctx context.Context, q map[string]any, silence time.Duration, f func(key string, e kvEntry) bool) (left uint64, err error) {
	nc := b.js.Conn()
	sub, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		return 0, unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is gone
	reconnects := nc.Stats().Reconnects
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+b.stream(), sub.Subject, encode(q)); err != nil {
		return 0, unavailable(err)
	}
	for {
		m, err := nextOf(ctx, sub, silence, func() bool { return nc.Stats().Reconnects != reconnects })
		if err != nil { // nats.ErrNoResponders: no broker has the stream, at the moment
			return 0, unavailable(err)
		}
		switch status := m.Header.Get(headerStatus); status {
		case "":
		case "404": // nothing at all
			return 0, nil
		case "204": // the end
			left, err := strconv.ParseUint(m.Header.Get(headerPending), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%w: broker: the end of an answer without a number", ErrUnavailable)
			}
			return left, nil
		default:
			return 0, fmt.Errorf("%w: broker: %s %s", ErrUnavailable, status, m.Header.Get("Description"))
		}
		rev, err := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
		key, ok := strings.CutPrefix(m.Header.Get(headerSubject), b.subject(""))
		if err != nil || !ok {
			return 0, fmt.Errorf("%w: broker: answer without a subject and a sequence", ErrUnavailable)
		}
		if !f(key, entryOf(m.Header, rev, m.Data)) {
			return 0, nil
		}
	}
}

// nextOf returns the next message of an answer. It fails if none arrives for as long as silence
// says, or if the connection was lost and the rest will never arrive.
func nextOf(ctx context.Context, sub *nats.Subscription, silence time.Duration, lost func() bool) (*nats.Msg, error) {
	const looks = 12
	for range looks {
		limited, cancel := context.WithTimeout(ctx, silence/looks)
		m, err := sub.NextMsgWithContext(limited)
		cancel()
		switch {
		case err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return m, err
		case lost():
			return nil, errInterrupted
		}
	}
	return nil, fmt.Errorf("no answer, or no more of one, within %v", silence)
}

// entryOf returns the entry of a message: a value, or the marker of a deletion.
func entryOf(h nats.Header, rev uint64, data []byte) kvEntry {
	if h.Get(headerOperation) != "" || h.Get(headerMarker) != "" {
		return kvEntry{rev: rev}
	}
	return kvEntry{rev: rev, live: true, data: data}
}

// storedMessage is the leader's answer to a request for a message.
type storedMessage struct {
	Error   *jetstream.APIError `json:"error"`
	Message struct {
		Seq    uint64 `json:"seq"`
		Header []byte `json:"hdrs"`
		Data   []byte `json:"data"`
	} `json:"message"`
}

// errCodeNoMessage is the error code of a message that does not exist.
const errCodeNoMessage jetstream.ErrorCode = 10037

// getFromLeader asks the stream's leader for a message. nats.go would ask any replica. If
// there is none, the error is jetstream.ErrMsgNotFound.
func (b *bucket) getFromLeader(ctx context.Context, q map[string]any) (kvEntry, error) {
	m, err := b.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+b.stream(), encode(q))
	if err != nil {
		return kvEntry{}, err
	}
	var a storedMessage
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return kvEntry{}, err
	}
	switch {
	case a.Error != nil && a.Error.ErrorCode == errCodeNoMessage:
		return kvEntry{}, jetstream.ErrMsgNotFound
	case a.Error != nil:
		return kvEntry{}, a.Error
	}
	var h nats.Header
	if len(a.Message.Header) > 0 {
		if h, err = nats.DecodeHeadersMsg(a.Message.Header); err != nil {
			return kvEntry{}, err
		}
	}
	return entryOf(h, a.Message.Seq, a.Message.Data), nil
}
