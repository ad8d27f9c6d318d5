package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// store keeps retained messages and sessions in a file. It writes changes after a second at most:
// a crash loses those of the last second.
type store struct {
	db    *bbolt.DB
	wheel *wheel.Wheel

	writing sync.Mutex // held by flush, so that the last one waits for any other
	mu      sync.Mutex
	dirty   map[[2]string]func() any // guarded by mu; by bucket and key
}

// The buckets: retained messages by topic, and sessions by client ID.
const retainedBucket, sessionsBucket = "retained", "sessions"

func openStore(file string, w *wheel.Wheel) (*store, error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second}) // another process may have it
	if err != nil {
		return nil, fmt.Errorf("--store %s: %w", file, err)
	}
	return &store{db: db, wheel: w, dirty: make(map[[2]string]func() any)}, nil
}

// mark has an entry written soon. value is called then, and returns what is encoded as JSON, or
// nil to delete the entry. A nil store keeps nothing.
func (st *store) mark(bucket, key string, value func() any) {
	if st == nil || len(key) > bbolt.MaxKeySize {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.dirty) == 0 {
		st.wheel.AfterFunc(time.Second, st.flush)
	}
	st.dirty[[2]string{bucket, key}] = value
}

func (st *store) flush() {
	st.writing.Lock()
	defer st.writing.Unlock()
	st.mu.Lock()
	dirty := st.dirty
	st.dirty = make(map[[2]string]func() any)
	st.mu.Unlock()
	if len(dirty) == 0 {
		return
	}
	err := st.db.Update(func(tx *bbolt.Tx) error {
		for k, value := range dirty {
			b, err := tx.CreateBucketIfNotExists([]byte(k[0]))
			if err != nil {
				return err
			}
			data, err := json.Marshal(value())
			if err != nil {
				return err
			}
			if string(data) == "null" {
				err = b.Delete([]byte(k[1]))
			} else {
				err = b.Put([]byte(k[1]), data)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "mqtt: --store:", err)
	}
}

// load calls f with each entry of a bucket.
func (st *store) load(bucket string, f func(key string, value []byte) error) error {
	return st.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(bucket)); b != nil {
			return b.ForEach(func(k, v []byte) error { return f(string(k), v) })
		}
		return nil
	})
}

// record is what is written of a session, and sent to another node that takes it over.
type record struct {
	Subs            map[string]subscription
	Inflight, Queue []delivery
	LastID          uint16
	Received        map[uint16]bool
	Expiry          time.Duration
	Left            time.Time
}

// save has the session written soon.
func (s *session) save() { s.broker.store.mark(sessionsBucket, s.id, s.record) }

// record returns nil if the session does not outlive its connection.
func (s *session) record() any {
	s.broker.mu.RLock()
	defer s.broker.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.expiry == 0 {
		return nil
	}
	return record{maps.Clone(s.subs), slices.Clone(s.inflight), slices.Clone(s.queue), s.lastID, maps.Clone(s.received), s.expiry, s.left}
}

// restore gives a new session what is in a record.
func (s *session) restore(r record) {
	s.mu.Lock()
	s.inflight, s.queue, s.lastID, s.received, s.expiry, s.left = r.Inflight, r.Queue, r.LastID, r.Received, r.Expiry, r.Left
	s.mu.Unlock()
	for filter, sub := range r.Subs {
		s.broker.subscribe(s, filter, sub)
	}
}

// restore brings back what is stored.
func (b *broker) restore() error {
	return errors.Join(b.store.load(retainedBucket, func(topic string, data []byte) error {
		m := new(message)
		b.retained[topic] = m
		return json.Unmarshal(data, m)
	}), b.store.load(sessionsBucket, func(id string, data []byte) error {
		var r record
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		if r.Left.IsZero() { // the broker crashed while the client was connected
			r.Left = time.Now()
		}
		left := time.Until(r.Left.Add(r.Expiry))
		if r.Expiry > 0 && left <= 0 {
			b.store.mark(sessionsBucket, id, func() any { return nil })
			return nil
		}
		s, err := b.create(context.Background(), id)
		if err == nil {
			s.restore(r)
			s.entry.Renew(max(left, -1))
		}
		return err
	}))
}
