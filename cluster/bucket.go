package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long the marker of a deletion stays: long enough for who asked
// for the deletion to write by its revision.
const markerTTL = time.Second

// The headers by which key-value clients know a deletion.
const (
	headerOperation = "KV-Operation"
	headerMarker    = "Nats-Marker-Reason"
	headerRollup    = "Nats-Rollup"
)

// bucket is a key-value bucket, written by compare-and-set alone. The key-value
// API would do for little of it: its updates drop the time to live.
type bucket struct {
	js      jetstream.JetStream
	name    string
	attempt time.Duration // limits each question
	handle  jetstream.Stream
}

func (b *bucket) stream() string            { return "KV_" + b.name }
func (b *bucket) subject(key string) string { return "$KV." + b.name + "." + key }
func (b *bucket) String() string            { return b.stream() }
func (b *bucket) config(c *Config) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if c.Storage == Memory {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name:              b.stream(),
		Subjects:          []string{b.subject(">")},
		MaxMsgsPerSubject: 1,
		Storage:           storage,
		Replicas:          c.Replicas,
		Discard:           jetstream.DiscardNew,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       false, // any replica may answer a direct read, however far it lags
		// Without markers a record would expire unseen by those who watch, and with
		// less than a second the time to live is refused.
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: 2 * time.Second,
		Duplicates:             time.Second,
		MaxMsgs:                -1,
		MaxBytes:               -1,
		MaxConsumers:           -1,
	}
}

// ensure makes the bucket unless it is there. The error names the field of the
// Config that another node has otherwise, or that the broker cannot do.
func (b *bucket) ensure(ctx context.Context, c *Config) error {
	want := b.config(c)
	_, err := b.js.CreateStream(ctx, want)
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
	case errors.As(err, &api) && api.ErrorCode == errCodeNoReplicas:
		return fmt.Errorf("cluster: Config.Replicas is %d, and the broker stands alone: use 1, or brokers that form a cluster", c.Replicas)
	case err != nil && c.Replicas > 1: // not all brokers may be up
		return b.refused(ctx, fmt.Errorf("Config.Replicas is %d, and as many brokers must be up for it: %w", c.Replicas, err))
	default:
		return b.refused(ctx, err)
	}
	s, err := b.js.Stream(ctx, b.stream())
	if err != nil {
		return unavailable(err)
	}
	switch have := s.CachedInfo().Config; {
	case have.Replicas != want.Replicas:
		return fmt.Errorf("cluster: Config.Replicas is %d, but %s has %d: all nodes must have the same", want.Replicas, b, have.Replicas)
	case have.Storage != want.Storage:
		return fmt.Errorf("cluster: Config.Storage is %v, but %s has %v: all nodes must have the same", want.Storage, b, have.Storage)
	case have.MaxMsgsPerSubject != 1 || have.AllowDirect || !have.AllowMsgTTL || !have.AllowRollup:
		return fmt.Errorf("cluster: the stream %s was not made by this package: use another Config.Namespace", b)
	}
	return nil
}

// open makes a bucket that is there ready to be read. It is called once, before
// all else.
func (b *bucket) open(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	s, err := b.js.Stream(limited, b.stream())
	b.handle = s // which knows the stream by its name: also one that is made anew
	return b.refused(ctx, err)
}

// errCodeNoReplicas is the answer of a broker without a cluster to more than one
// replica. Brokers of which too few are there answer in many ways, and those that
// are just starting answer alike.
const errCodeNoReplicas jetstream.ErrorCode = 10074

var errNoJetStream = errors.New("cluster: the broker has no JetStream: turn it on, by jetstream {} in its configuration or by nats-server -js, for the account of this connection too")

// refused tells a broker without JetStream, which no waiting mends, from one that
// does not answer.
func (b *bucket) refused(ctx context.Context, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabled || api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount):
		return errNoJetStream
	case errors.Is(err, nats.ErrNoResponders) && b.off(ctx):
		return errNoJetStream
	}
	return unavailable(err)
}

// off asks again after a while: a broker has nobody who would respond also for a
// moment while it shuts down, and one of several until it has found the others.
func (b *bucket) off(ctx context.Context) bool {
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

// found is what a key has: its last revision, and its value unless that is a
// deletion's marker. Revision 0 is a key that has nothing.
type found struct {
	rev  uint64
	live bool
	data []byte
}

// get asks the stream's leader. A leader that has lost its quorum still answers:
// what is read is advice, and only a compare-and-set decides.
func (b *bucket) get(ctx context.Context, key string) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	m, err := b.handle.GetLastMsgForSubject(ctx, b.subject(key))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return found{}, nil
	case err != nil:
		return found{}, unavailable(err)
	case m.Header.Get(headerOperation) != "" || m.Header.Get(headerMarker) != "":
		return found{rev: m.Sequence}, nil
	}
	return found{rev: m.Sequence, live: true, data: m.Data}, nil
}

// put writes if the key's last revision is rev, 0 for a key that has nothing. A
// ttl of 0 means for good.
func (b *bucket) put(ctx context.Context, key string, v any, rev uint64, ttl time.Duration) (uint64, error) {
	return b.publish(ctx, &nats.Msg{Subject: b.subject(key), Data: encode(v)}, rev, ttl)
}

// del deletes the key if its last revision is rev. It leaves a marker, whose
// revision it returns, for the given time.
func (b *bucket) del(ctx context.Context, key string, rev uint64, ttl time.Duration) (uint64, error) {
	m := nats.NewMsg(b.subject(key))
	m.Header.Set(headerOperation, "PURGE")
	m.Header.Set(headerRollup, "sub")
	return b.publish(ctx, m, rev, ttl)
}

func (b *bucket) publish(ctx context.Context, m *nats.Msg, rev uint64, ttl time.Duration) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	opts := []jetstream.PublishOpt{
		jetstream.WithExpectLastSequencePerSubject(rev),
		jetstream.WithRetryAttempts(0), // who asked decides whether it still wants it
	}
	if ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(ttl))
	}
	ack, err := b.js.PublishMsg(ctx, m, opts...)
	if err != nil {
		return 0, unavailable(err)
	}
	return ack.Sequence, nil
}

// isConflict reports whether the broker refused a compare-and-set. On several
// replicas that is ambiguous: the refused may be the second of two attempts of
// one's own. So whoever is refused reads before it decides.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isNoStream reports whether nothing takes what is written, as when the stream is
// gone.
func isNoStream(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// unavailable wraps what went wrong between the node and the broker; a refusal is
// an answer.
func unavailable(err error) error {
	if err == nil || isConflict(err) {
		return err
	}
	return fmt.Errorf("%w from the broker: %w", ErrUnavailable, err)
}

// isGone reports whether the stream is gone for sure.
func (b *bucket) isGone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	_, err := b.js.Stream(ctx, b.stream())
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

// lastRevision is the revision of the last write to any key.
func (b *bucket) lastRevision(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	s, err := b.js.Stream(ctx, b.stream())
	if err != nil {
		return 0, unavailable(err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// through reports whether there is nothing between the revisions seen and last,
// without seen; false if the broker does not say.
func (b *bucket) through(ctx context.Context, seen, last uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, b.attempt)
	defer cancel()
	m, err := b.handle.GetMsg(ctx, seen+1, jetstream.WithGetMsgSubject(b.subject(">")))
	return errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Sequence > last
}

// watch tells of what the keys have, then nil, then of every change. It is to be
// ended by stopWatcher.
func (b *bucket) watch(ctx context.Context, opts ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	// The watcher's context is to outlast its making, which alone is limited.
	ctx, cancel := context.WithCancel(ctx)
	limit := time.AfterFunc(3*b.attempt, cancel)
	kv, err := b.js.KeyValue(ctx, b.name)
	if err != nil {
		cancel()
		return nil, unavailable(err)
	}
	w, err := kv.WatchAll(ctx, opts...)
	if err != nil {
		cancel()
		return nil, unavailable(err)
	}
	if !limit.Stop() {
		stopWatcher(w)
		return nil, fmt.Errorf("%w from the broker: a watcher was too long in the making", ErrUnavailable)
	}
	return w, nil
}

// stopWatcher ends a watcher and takes what it still has to tell, which would
// block a goroutine of the client for good.
func stopWatcher(w jetstream.KeyWatcher) {
	_ = w.Stop() // fails if it has ended already
	for range w.Updates() {
	}
}

// decode reads a value; one that is nobody's is an entry without an owner, which
// anybody may overwrite.
func decode[T any](data []byte) T {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		var none T
		return none
	}
	return v
}
