package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long the marker of a deletion stays: long enough for the node that
// requested the deletion to write with the marker's revision.
const markerTTL = time.Second

// The headers of a deletion in the key-value API.
const (
	headerOperation = "KV-Operation"
	headerMarker    = "Nats-Marker-Reason"
	headerRollup    = "Nats-Rollup"
)

// bucket is a key-value bucket that is written by compare-and-set only. It does not use
// the key-value API for writes, because an update through that drops the time to live.
type bucket struct {
	js       jetstream.JetStream
	name     string
	attempt  time.Duration     // the timeout of each request
	max      int64             // bytes; negative: no limit
	metadata map[string]string // of the stream that ensure creates
	purging  chan struct{}     // holds a value while del makes room
	handle   jetstream.Stream  // set by open
}

func newBucket(js jetstream.JetStream, name string, attempt time.Duration, most int64) *bucket {
	return &bucket{js: js, name: name, attempt: attempt, max: most, purging: make(chan struct{}, 1)}
}

func (b *bucket) stream() string            { return "KV_" + b.name }
func (b *bucket) subject(key string) string { return "$KV." + b.name + "." + key }
func (b *bucket) String() string            { return b.stream() }

// config returns the configuration of the bucket's stream.
func (b *bucket) config(c *Config) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if c.Storage == Memory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name:              b.stream(),
		Metadata:          b.metadata,
		Subjects:          []string{b.subject(">")},
		MaxMsgsPerSubject: 1,
		Storage:           storage,
		Replicas:          c.Replicas,
		Discard:           jetstream.DiscardNew,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       true, // for getDirect alone: any replica may answer, however far it lags
		// Without markers, watchers would not notice that a record has expired. A time
		// to live of less than a second is refused.
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: 2 * time.Second,
		// If the stream is lost and created again, no revision that a node remembers
		// may be one of the new stream, where it could be that of another's entry.
		FirstSeq:     uint64(time.Now().UnixMicro()),
		Duplicates:   time.Second,
		MaxMsgs:      -1,
		MaxBytes:     b.max,
		MaxConsumers: -1,
	}
}

// ensure creates the bucket if it does not exist. The error names a field of the Config
// that the other nodes have set differently or that the broker cannot satisfy.
func (b *bucket) ensure(ctx context.Context, c *Config) error {
	want := b.config(c)
	if c.Storage == Memory && c.Replicas == 1 && b.js.Conn().ConnectedClusterName() != "" {
		return errors.New("cluster: Config.Storage is Memory and Config.Replicas 1 on a cluster of brokers: a restart of the one that has the directory would lose it, which the others do not notice: use File, or 3 replicas")
	}
	created, err := b.js.CreateStream(ctx, want)
	var api *jetstream.APIError
	switch {
	case err == nil:
		return b.checkVersion(created.CachedInfo().Config)
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
	case errors.As(err, &api) && api.ErrorCode == errCodeSubjectOverlap:
		return fmt.Errorf("cluster: another stream%s has subjects of %s: remove them from it, or use another Config.Namespace", b.owning(ctx, b.subject(">")), b)
	case errors.As(err, &api) && api.ErrorCode == errCodeNoReplicas:
		return fmt.Errorf("cluster: Config.Replicas is %d, and the broker is standalone: use 1, or brokers that form a cluster", c.Replicas)
	case errors.As(err, &api) && (api.ErrorCode == errCodeNoStorage || api.ErrorCode == errCodeNoMemory):
		return fmt.Errorf("cluster: the broker has no room for %s, which needs %d bytes: lower Config.MaxBytes, or raise the broker's limit: %w", b, b.max, err)
	case err != nil && c.Replicas > 1: // perhaps not all brokers are up
		return b.classify(ctx, fmt.Errorf("Config.Replicas is %d, which needs as many brokers: %w", c.Replicas, err))
	default:
		return b.classify(ctx, err)
	}
	s, err := b.js.Stream(ctx, b.stream())
	if err != nil {
		return unavailable(err)
	}
	if err := b.checkVersion(s.CachedInfo().Config); err != nil {
		return err
	}
	switch have := s.CachedInfo().Config; {
	case have.Replicas != want.Replicas:
		return fmt.Errorf("cluster: Config.Replicas is %d, but %s has %d: all nodes must have the same", want.Replicas, b, have.Replicas)
	case have.Storage != want.Storage:
		return fmt.Errorf("cluster: Config.Storage is %v, but %s has %v: all nodes must have the same", want.Storage, b, have.Storage)
	case streamsOf(have) != streamsOf(want):
		return fmt.Errorf("cluster: Config.Streams is %d, but the directory of %s has %.20s: all nodes must have the same, and to change it, use another Config.Namespace", c.Streams, b, streamsOf(have))
	case have.MaxBytes != want.MaxBytes && b.max != maxNodesBytes:
		return fmt.Errorf("cluster: Config.MaxBytes is %d, which is %d for each of %d streams, but %s has %d: all nodes must have the same, and to change it, change the streams", c.MaxBytes, want.MaxBytes, c.Streams, b, have.MaxBytes)
	case have.MaxMsgsPerSubject != 1 || !have.AllowRollup || !have.AllowDirect:
		return fmt.Errorf("cluster: stream %s was not created by this package: use another Config.Namespace", b)
	}
	return nil
}

// checkVersion returns an error if the broker has ignored a part of the stream's
// configuration that it does not know: it would keep records and markers for ever.
func (b *bucket) checkVersion(have jetstream.StreamConfig) error {
	if have.AllowMsgTTL && have.SubjectDeleteMarkerTTL > 0 {
		return nil
	}
	return fmt.Errorf("cluster: stream %s has no time to live for each message: use brokers of NATS 2.11 or later (this one is %s), and delete a stream that an older one has made", b, b.js.Conn().ConnectedServerVersion())
}

// checkCaptured returns an error if a stream captures requests to nodes: its
// acknowledgement would come before the node's reply.
func (b *bucket) checkCaptured(ctx context.Context, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	name, err := b.js.StreamNameBySubject(ctx, subject)
	switch {
	case err == nil:
		return fmt.Errorf("cluster: stream %q captures the requests to nodes (%s): change its subjects, or use another Config.Namespace", name, subject)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil
	}
	return b.classify(ctx, err)
}

// owning returns the name of the stream that has a subject, for an error, or "".
func (b *bucket) owning(ctx context.Context, subject string) string {
	name, err := b.js.StreamNameBySubject(ctx, subject)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (%q)", name)
}

// open prepares a bucket that exists for reading. It is called before the methods that
// read.
func (b *bucket) open(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	s, err := b.js.Stream(limited, b.stream())
	b.handle = s // refers to the stream by name, so it stays valid if the stream is created again
	return b.classify(ctx, err)
}

// errCodeNoReplicas is the error code of a broker without a cluster for more than one
// replica. Too few brokers of a cluster answer with various errors, which brokers that
// are starting return as well.
const errCodeNoReplicas jetstream.ErrorCode = 10074

// errCodeSubjectOverlap is the error code of a stream whose subjects another one has.
const errCodeSubjectOverlap jetstream.ErrorCode = 10065

// The error codes of a broker that has no room: for what a stream reserves, for what an
// account or the broker may store, and for another message of a stream.
const (
	errCodeNoStorage    jetstream.ErrorCode = 10047
	errCodeNoMemory     jetstream.ErrorCode = 10028
	errCodeAccountFull  jetstream.ErrorCode = 10002
	errCodeBrokerFull   jetstream.ErrorCode = 10023
	errCodeStoreRefused jetstream.ErrorCode = 10077
)

// isFull reports whether a write was refused because there is no room for it.
func isFull(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case errCodeNoStorage, errCodeNoMemory, errCodeAccountFull, errCodeBrokerFull:
		return true
	case errCodeStoreRefused:
		return strings.Contains(api.Description, "maximum")
	}
	return false
}

// classify returns errNoJetStream if err means that the broker has no JetStream, which
// retrying cannot fix, and otherwise wraps err in ErrUnavailable.
func (b *bucket) classify(ctx context.Context, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabled || api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount):
		return errNoJetStream
	case errors.Is(err, nats.ErrNoResponders) && b.isJetStreamOff(ctx):
		return errNoJetStream
	}
	return unavailable(err)
}

// isJetStreamOff asks the broker again after a pause. The broker may have had no responder
// only for a moment: while it shuts down, or, as one of several, until it has found the
// others.
func (b *bucket) isJetStreamOff(ctx context.Context) bool {
	nc := b.js.Conn()
	before := nc.Stats().Reconnects
	if nc.ConnectedClusterName() != "" || !sleep(ctx, b.attempt) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	_, err := b.js.Stream(ctx, b.stream())
	return errors.Is(err, nats.ErrNoResponders) && nc.Stats().Reconnects == before
}

// kvEntry is the last value of a key.
type kvEntry struct {
	rev  uint64 // of the value or of the marker of its deletion; 0: neither exists
	live bool   // there is a value
	data []byte
}

// get reads a key from the stream's leader. A leader that has lost its quorum still
// answers, so the value may be old: only a compare-and-set is decisive.
func (b *bucket) get(ctx context.Context, key string) (kvEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	e, err := b.getFromLeader(ctx, map[string]any{"last_by_subj": b.subject(key)})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kvEntry{}, nil
	}
	return e, unavailable(err)
}

// put writes a key if its last revision is rev, which is 0 for a key without any, and
// returns the new revision. The value expires after ttl; 0 means never.
func (b *bucket) put(ctx context.Context, key string, v any, rev uint64, ttl time.Duration) (uint64, error) {
	return b.publish(ctx, &nats.Msg{Subject: b.subject(key), Data: encode(v)}, rev, ttl)
}

// del deletes a key if its last revision is rev. It returns the revision of the marker of
// the deletion, which expires after ttl, or 0 if there is no room for a marker.
func (b *bucket) del(ctx context.Context, key string, rev uint64, ttl time.Duration) (uint64, error) {
	m := nats.NewMsg(b.subject(key))
	m.Header.Set(headerOperation, "PURGE")
	m.Header.Set(headerRollup, "sub")
	marker, err := b.publish(ctx, m, rev, ttl)
	if !errors.Is(err, ErrFull) || rev == 0 {
		return marker, err
	}
	// A purge is slow, and makes room for the markers of others. So one is tried at a time.
	select {
	case b.purging <- struct{}{}:
	case <-ctx.Done():
		return 0, unavailable(ctx.Err())
	}
	defer func() { <-b.purging }()
	if marker, err = b.publish(ctx, m, rev, ttl); errors.Is(err, ErrFull) {
		return 0, b.purge(ctx, key, rev)
	}
	return marker, err
}

// purge deletes a key if its last revision is rev or a lower one, and leaves no marker. It
// works if there is no room for one.
func (b *bucket) purge(ctx context.Context, key string, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	return unavailable(b.handle.Purge(ctx, jetstream.WithPurgeSubject(b.subject(key)), jetstream.WithPurgeSequence(rev+1)))
}

// publish publishes m if the last revision of its key is rev. It does not retry.
func (b *bucket) publish(ctx context.Context, m *nats.Msg, rev uint64, ttl time.Duration) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)} // the caller decides whether to retry
	if m.Header == nil {
		m.Header = make(nats.Header)
	}
	// Always of one length, since the broker stores it: in a full directory a value may take
	// the place of one that is no smaller.
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprintf("%016d", rev))
	if ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(ttl))
	}
	ack, err := b.js.PublishMsg(ctx, m, opts...)
	if isFull(err) {
		return 0, fmt.Errorf("%w: %w", ErrFull, err)
	}
	if err != nil {
		return 0, unavailable(err)
	}
	return ack.Sequence, nil
}

// isConflict reports whether the broker refused a compare-and-set. On several replicas a
// refusal is ambiguous: the brokers may have executed the write and then refused a
// duplicate of it. The caller must read the key before it decides.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, errOldRevision) || errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isNoStream reports whether a write failed because no stream received it, for example
// because the stream was deleted.
func isNoStream(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// unavailable wraps err in ErrUnavailable, unless it is nil or a conflict, which is an
// answer.
func unavailable(err error) error {
	if err == nil || isConflict(err) {
		return err
	}
	return fmt.Errorf("%w: broker: %w", ErrUnavailable, err)
}

// isGone reports whether the broker says that the stream does not exist.
func (b *bucket) isGone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	_, err := b.js.Stream(ctx, b.stream())
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

// info asks the broker about the stream.
func (b *bucket) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	s, err := b.js.Stream(ctx, b.stream())
	if err != nil {
		return nil, unavailable(err)
	}
	return s.CachedInfo(), nil
}

// lastRevision returns the revision of the last write to any key.
func (b *bucket) lastRevision(ctx context.Context) (uint64, error) {
	info, err := b.info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// noneAfter reports whether no message has a revision greater than seen. It reports false if
// the broker does not answer.
func (b *bucket) noneAfter(ctx context.Context, seen uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	_, err := b.getFromLeader(ctx, map[string]any{"seq": seen + 1, "next_by_subj": b.subject(">")})
	return errors.Is(err, jetstream.ErrMsgNotFound)
}

// decode decodes a value. For an invalid one it returns the zero value, which is an entry
// without an owner, so that any node may overwrite it.
func decode[T any](data []byte) T {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		var none T
		return none
	}
	return v
}
