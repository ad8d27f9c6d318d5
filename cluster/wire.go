package cluster

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// entry is what the directory stores of a session.
type entry struct {
	Owner string `json:"owner"` // the owner's epoch
	Node  string `json:"node"`
	Token uint64 `json:"token"`
	Since int64  `json:"since"` // unix milliseconds
	Meta  []byte `json:"meta,omitempty"`
}

func (e *entry) export(id string) Entry {
	return Entry{ID: id, Node: e.Node, Owner: e.Owner, Token: e.Token, Since: time.UnixMilli(e.Since), Meta: e.Meta}
}

// beatRecord is what a node's heartbeat stores, under its epoch.
type beatRecord struct {
	Node     string `json:"node"`
	Beat     uint64 `json:"beat"` // how many there were before
	Sessions int    `json:"sessions"`
	Lease    int64  `json:"lease"`          // milliseconds
	Dead     bool   `json:"dead,omitempty"` // a death certificate: final
}

// What one node asks of another, at the subject <namespace>.node.<epoch>.<op>.
const (
	opEvict = "evict"
	opKick  = "kick"
	opSend  = "send"
)

// request asks the owner of a session. Token says which login is meant: without
// it, what is asked a moment too late would hit the session that followed. The ID
// goes as its key: JSON would change one that is not UTF-8.
type request struct {
	Key    string      `json:"key"`
	Token  uint64      `json:"token"`
	Rev    uint64      `json:"rev,omitempty"` // of the entry to delete
	Reason pool.Reason `json:"reason,omitempty"`
	Data   []byte      `json:"data,omitempty"`

	id string // of the key
}

// reply tells whether it was done. Rev is the revision of the marker that the
// entry's deletion left: the next compare-and-set goes by it.
type reply struct {
	OK    bool   `json:"ok"`
	Stale bool   `json:"stale,omitempty"` // no session with that token is here
	Rev   uint64 `json:"rev,omitempty"`
	Error string `json:"error,omitempty"`
}

// encode is for the types above, which always encode.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cluster: %T does not encode: %v", v, err))
	}
	return b
}
