package cluster

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// entry is the value of a session's key in the directory.
type entry struct {
	Owner string `json:"owner"` // the owner's epoch
	Node  string `json:"node"`
	Token uint64 `json:"token"`
	Since int64  `json:"since"`           // unix milliseconds
	Began int64  `json:"began,omitempty"` // when its Claim began, in unix microseconds
	Meta  []byte `json:"meta,omitempty"`
}

// export returns the entry with its ID.
func (e *entry) export(id string) Entry {
	return Entry{ID: id, Node: e.Node, Owner: e.Owner, Token: e.Token, Since: time.UnixMilli(e.Since), Meta: e.Meta}
}

// beatRecord is the value of an epoch's key in the nodes' bucket. A heartbeat writes it.
type beatRecord struct {
	Node     string `json:"node"`
	Beat     uint64 `json:"beat"` // the number of earlier heartbeats
	Sessions int    `json:"sessions"`
	Lease    int64  `json:"lease"`          // milliseconds
	Dead     bool   `json:"dead,omitempty"` // the record is a tombstone: the epoch is dead for ever
	By       string `json:"by,omitempty"`   // in a tombstone: the epoch that wrote it and deletes the entries
}

// The requests of one node to another, sent to the subject <namespace>.node.<epoch>.<op>.
const (
	opEvict = "evict"
	opKick  = "kick"
	opSend  = "send"
)

// request is sent to the owner of a session. Token identifies the login, so that a late
// request does not reach a later session of the ID. The ID is sent as its key, because
// JSON would change an ID that is not UTF-8.
type request struct {
	Key    string      `json:"key"`
	Token  uint64      `json:"token"`
	Exact  bool        `json:"exact,omitempty"` // it is for this login alone
	Rev    uint64      `json:"rev,omitempty"`   // the revision of the entry to delete
	Reason pool.Reason `json:"reason,omitempty"`
	Data   []byte      `json:"data,omitempty"`
	Wait   int64       `json:"wait,omitempty"` // how long the requester waits, in milliseconds

	id string // the ID of Key
}

// reply is the answer to a request.
type reply struct {
	OK    bool   `json:"ok"`              // it was executed
	Stale bool   `json:"stale,omitempty"` // there is no session with that token
	Rev   uint64 `json:"rev,omitempty"`   // the revision of the marker of the entry's deletion, or of the entry if there is a State
	State []byte `json:"state,omitempty"` // what the evicted session hands over
	Error string `json:"error,omitempty"`
}

// encode returns v as JSON. It panics if v is not one of the types above.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cluster: cannot encode %T: %v", v, err))
	}
	return b
}
