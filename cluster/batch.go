package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	headerStatus   = "Status"
)

// errNoDirect means that the stream does not allow direct reads.
var errNoDirect = errors.New("cluster: stream allows no direct reads")

// getMany reads many keys with one request: the entries of those that have one, or a marker.
// Any broker that has the stream may answer, however far it lags behind: whoever decides by
// it reads again.
func (b *bucket) getMany(ctx context.Context, keys []string) (map[string]kvEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*b.attempt)
	defer cancel()
	subjects := make([]string, len(keys))
	for i, key := range keys {
		subjects[i] = b.subject(key)
	}
	nc := b.js.Conn()
	sub, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is gone
	q := encode(map[string]any{"multi_last": subjects})
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+b.stream(), sub.Subject, q); err != nil {
		return nil, unavailable(err)
	}
	found := make(map[string]kvEntry, len(keys))
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return nil, errNoDirect
		case err != nil:
			return nil, unavailable(err)
		}
		switch status := m.Header.Get(headerStatus); status {
		case "":
		case "204", "404": // the end, or nothing at all
			return found, nil
		case "503":
			return nil, errNoDirect
		default:
			return nil, fmt.Errorf("%w: broker: %s %s", ErrUnavailable, status, m.Header.Get("Description"))
		}
		rev, err := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
		key, ok := strings.CutPrefix(m.Header.Get(headerSubject), b.subject(""))
		if err != nil || !ok {
			return nil, fmt.Errorf("%w: broker: answer without a subject and a sequence", ErrUnavailable)
		}
		found[key] = entryOf(m.Header, rev, m.Data)
	}
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
