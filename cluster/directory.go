package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// directory holds the sessions' entries. They lie in one stream or, by a hash of the ID, in
// several, which may have their leaders on several brokers. Each stream counts revisions of
// its own.
type directory []*part

// part is one stream of the directory.
type part struct {
	*bucket
	known atomic.Uint64 // the highest revision that was met

	// Guarded by Node.mu. A client does not use them.
	seen   streamState
	oldest uint64 // the entries of all sessions have this revision or a higher one; see olderThan
}

// streamState is what a node has last seen of a stream.
type streamState struct {
	created time.Time // the zero time: not seen yet
	last    uint64    // its last revision
}

// maxStreams is the maximum of Config.Streams.
const maxStreams = 64

// streamsKey is the metadata of the first stream that says how many there are.
const streamsKey = "sessionwheel-streams"

// newDirectory returns a directory of c.Streams streams.
func newDirectory(js jetstream.JetStream, c *Config) directory {
	d := make(directory, c.Streams)
	limit := c.MaxBytes
	if limit > 0 {
		limit = max(1, limit/int64(c.Streams))
	}
	for i := range d {
		name := c.Namespace + "_dir"
		if i > 0 {
			name += "_" + strconv.Itoa(i+1)
		}
		d[i] = &part{bucket: newBucket(js, name, c.attempt(), limit)}
	}
	if c.Streams > 1 {
		d[0].metadata = map[string]string{streamsKey: strconv.Itoa(c.Streams)}
	}
	return d
}

// of returns the part that has the entry of an ID. All versions of this package must agree.
func (d directory) of(id string) *part {
	if len(d) == 1 {
		return d[0]
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return d[h.Sum64()%uint64(len(d))]
}

// ensure creates the streams if they do not exist.
func (d directory) ensure(ctx context.Context, c *Config) error {
	for _, p := range d {
		if err := p.ensure(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// open prepares streams that exist for reading. It is called before the methods that read.
func (d directory) open(ctx context.Context) error {
	var errs []error
	for _, p := range d {
		errs = append(errs, p.open(ctx))
	}
	return errors.Join(errs...)
}

// streams returns how many streams the directory has of which p is the first.
func (p *part) streams(ctx context.Context) (int, error) {
	info, err := p.info(ctx)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(streamsOf(info.Config))
	if err != nil || n < 1 || n > maxStreams {
		return 0, fmt.Errorf("cluster: stream %s says that the directory has %.20q streams: use another namespace", p, streamsOf(info.Config))
	}
	return n, nil
}

// streamsOf returns how many streams a directory has, as the first of them says.
func streamsOf(first jetstream.StreamConfig) string {
	return cmp.Or(first.Metadata[streamsKey], "1")
}

// knows notes a revision of the part. Entries of claims that begin from now on have a higher
// one.
func (p *part) knows(rev uint64) {
	for {
		old := p.known.Load()
		if rev <= old || p.known.CompareAndSwap(old, rev) {
			return
		}
	}
}
