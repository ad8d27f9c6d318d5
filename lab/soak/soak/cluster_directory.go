//go:build !nocluster

package soak

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

// The streams of the directory, as docs/cluster.md names them.
const (
	entriesBucket = "sessions_dir"
	recordsBucket = "sessions_nodes"
	entriesStream = "KV_" + entriesBucket
	plainIDs      = "s." // before an ID, which makes the key of an entry
)

// reading is for one look at what the brokers have.
const reading = 10 * time.Second

// withBrokers calls f with a connection of the soak's own, that is no node.
func withBrokers(ctx context.Context, url string, f func(context.Context, jetstream.JetStream) error) error {
	ctx, cancel := context.WithTimeout(ctx, reading)
	defer cancel()
	nc, err := nats.Connect(url, nats.NoReconnect(), nats.Timeout(reading))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return f(ctx, js)
}

// readDirectory reads all entries as they are stored, those of the dead included,
// and which epochs live.
func readDirectory(ctx context.Context, url string, c *census) error {
	c.directory, c.alive = make(map[string]listed), make(map[string]bool)
	return withBrokers(ctx, url, func(ctx context.Context, js jetstream.JetStream) error {
		err := eachKey(ctx, js, entriesBucket, func(key string, value []byte) error {
			id, ok := strings.CutPrefix(key, plainIDs)
			if !ok {
				return broken(agreeing, "there is an entry %q, which no login has made", key)
			}
			var e listed
			err := json.Unmarshal(value, &e)
			c.directory[id] = e
			return err
		})
		return errors.Join(err, eachKey(ctx, js, recordsBucket, func(epoch string, value []byte) error {
			var record struct{ Dead bool }
			err := json.Unmarshal(value, &record)
			c.alive[epoch] = !record.Dead
			return err
		}))
	})
}

// eachKey calls f for all that a bucket has.
func eachKey(ctx context.Context, js jetstream.JetStream, bucket string, f func(key string, value []byte) error) error {
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // the connection is closed next
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("reading %s: %w", bucket, ctx.Err())
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("reading %s: the broker stopped", bucket)
			case e == nil: // that was all
				return nil
			}
			if err := f(e.Key(), e.Value()); err != nil {
				return err
			}
		}
	}
}

// leader is the number of the broker that leads the directory's stream.
func (b *brokers) leader(ctx context.Context) (found int, err error) {
	err = withBrokers(ctx, b.url(), func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, entriesStream)
		if err != nil {
			return err
		}
		for i, o := range b.orders {
			if c := s.CachedInfo().Cluster; c != nil && c.Leader == o.Name {
				found = i
				return nil
			}
		}
		return errors.New("the directory has no leader")
	})
	return found, err
}
