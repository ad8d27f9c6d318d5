package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// store keeps retained messages and sessions in a file. It writes changes after a second at most:
// a crash loses those of the last second.
type store struct {
	db    *bbolt.DB
	wheel *wheel.Wheel

	mu    sync.Mutex
	dirty map[[2]string]any // guarded by mu; by bucket and key
}

// The buckets: retained messages by topic, and sessions by client ID.
const retainedBucket, sessionsBucket = "retained", "sessions"

func openStore(file string, w *wheel.Wheel) (*store, error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second}) // another process may have it
	if err != nil {
		return nil, fmt.Errorf("--store %s: %w", file, err)
	}
	return &store{db: db, wheel: w, dirty: make(map[[2]string]any)}, nil
}

// mark has a value written soon, as the JSON that it then is; null deletes the entry. A nil store
// keeps nothing.
func (st *store) mark(bucket, key string, value any) {
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

// flush writes what is marked. Calls write one after the other.
func (st *store) flush() {
	err := st.db.Update(func(tx *bbolt.Tx) (err error) {
		st.mu.Lock()
		dirty := st.dirty
		st.dirty = make(map[[2]string]any)
		st.mu.Unlock()
		for k, value := range dirty {
			data, err1 := json.Marshal(value)
			b, err2 := tx.CreateBucketIfNotExists([]byte(k[0]))
			if err = errors.Join(err, err1, err2); err != nil {
				return err
			}
			if string(data) == "null" {
				err = b.Delete([]byte(k[1]))
			} else {
				err = b.Put([]byte(k[1]), data)
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, bberrors.ErrDatabaseNotOpen) { // it is closed after the last one
		fmt.Fprintln(os.Stderr, "mqtt: --store:", err)
	}
}

// load calls f with each entry.
func (st *store) load(f func(bucket, key string, value []byte) error) error {
	return st.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error { return f(string(name), string(k), v) })
		})
	})
}

// restore brings back what is stored.
func (b *broker) restore() error {
	return b.store.load(func(bucket, key string, value []byte) error {
		if bucket == retainedBucket {
			m := new(message)
			b.retained[key] = m
			return json.Unmarshal(value, m)
		}
		st := new(state)
		if err := json.Unmarshal(value, st); err != nil {
			return err
		}
		if st.Left == 0 { // the broker crashed while the client was connected
			st.Left = time.Now().UnixMilli()
		}
		left := st.lasts() - time.Since(time.UnixMilli(st.Left))
		if left <= 0 {
			b.store.mark(sessionsBucket, key, nil)
			return nil
		}
		e, err := b.create(context.Background(), key, st)
		if err == nil {
			e.Renew(left)
		}
		return err
	})
}
