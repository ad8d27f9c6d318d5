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
)

// store keeps retained messages and sessions in a file. It writes changes together, after a tenth
// of a second at most, which a crash loses.
type store struct {
	db     *bbolt.DB
	marked sync.Map       // what is to be written, by [2]string{bucket, key}
	writes sync.WaitGroup // goroutines that write
}

// The buckets: retained messages by topic, and sessions by client ID.
const retainedBucket, sessionsBucket = "retained", "sessions"

// openStore opens the store, and brings back what is in it.
func (b *broker) openStore(file string) error {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second}) // another process may have it
	if err != nil {
		return fmt.Errorf("--store %s: %w", file, err)
	}
	db.MaxBatchDelay = 100 * time.Millisecond
	b.store = &store{db: db}
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, entries *bbolt.Bucket) error {
			return entries.ForEach(func(k, v []byte) error { return b.restore(string(name), string(k), v) })
		})
	})
}

// mark has a value written soon, as the JSON that it then is; null deletes the entry. A nil store
// keeps nothing.
func (st *store) mark(bucket, key string, value any) {
	if st == nil || len(key) > bbolt.MaxKeySize {
		return
	}
	k := [2]string{bucket, key}
	if _, marked := st.marked.Swap(k, value); marked {
		return
	}
	st.writes.Go(func() { // ends when it has written; close waits for it
		err := st.db.Batch(func(tx *bbolt.Tx) error { // it may be called again if it fails
			if latest, ok := st.marked.LoadAndDelete(k); ok {
				value = latest
			}
			data, err1 := json.Marshal(value)
			b, err2 := tx.CreateBucketIfNotExists([]byte(bucket))
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			if string(data) == "null" {
				return b.Delete([]byte(key))
			}
			return b.Put([]byte(key), data)
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "mqtt: --store:", err)
		}
	})
}

// close writes what is marked.
func (st *store) close() error {
	st.writes.Wait()
	return st.db.Close()
}

// restore brings back a retained message or a session.
func (b *broker) restore(bucket, key string, value []byte) error {
	if bucket == retainedBucket {
		m := new(message)
		b.retained[key] = m
		return json.Unmarshal(value, m)
	}
	s := &session{id: key, broker: b}
	if err := json.Unmarshal(value, &s.state); err != nil {
		return err
	}
	if s.Left == 0 { // the broker crashed while the client was connected
		s.Left = time.Now().UnixMilli()
	}
	e, err := b.create(context.Background(), s)
	left := time.Until(time.UnixMilli(s.Left).Add(time.Duration(s.Expiry) * time.Second))
	if err == nil && (left <= 0 || !e.Renew(left)) {
		e.Close(ended)
	}
	return err
}
