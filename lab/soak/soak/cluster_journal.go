//go:build !nocluster

package soak

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// journal is the file in which a node's process notes, at the moment it happens,
// each session that opens and each that has closed. What is noted outlives a kill
// of the process. The times are of the wall clock, which all processes of a machine
// share: an opening is noted before the session is there, and a closing after it
// has processed its last.
type journal struct {
	f *os.File

	mu  sync.Mutex
	out *json.Encoder // guarded by mu
	err error         // guarded by mu: the first
}

// journalLine is one note.
type journalLine struct {
	Kind  string      `json:"kind"`
	At    int64       `json:"at"` // unix nanoseconds
	ID    string      `json:"id,omitempty"`
	Token uint64      `json:"token,omitempty"`
	Why   pool.Reason `json:"why,omitempty"`
	Since int64       `json:"since,omitempty"`
}

const (
	noteOpen  = "open"
	noteClose = "close"
	noteStill = "still" // the process stood still from Since on
)

func newJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{f: f, out: json.NewEncoder(f)}, nil
}

func (j *journal) note(l journalLine) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l.At = time.Now().UnixNano()
	if err := j.out.Encode(l); err != nil && j.err == nil {
		j.err = err
	}
}

// trouble is why something may not have been noted.
func (j *journal) trouble() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// slowBeat is how often a process looks whether it stood still. Each look wakes it.
const slowBeat = 50 * time.Millisecond

// keepTime notes when this process stands still for the given time or longer. It
// does not end.
func (j *journal) keepTime(least time.Duration) {
	for last := time.Now(); ; {
		time.Sleep(slowBeat)
		now := time.Now()
		if now.Sub(last) >= least {
			j.note(journalLine{Kind: noteStill, Since: last.UnixNano()})
		}
		last = now
	}
}

// tenure is one session as the journals have it.
type tenure struct {
	node     string
	id       string
	token    uint64
	from, to int64 // unix nanoseconds; to is 0 while it is open
	why      pool.Reason
}

// died is why the sessions of a process that was killed ended.
const died pool.Reason = "Died"

// readJournal reads what a node's process has noted so far: its sessions, and when
// it stood still. Killed is when the process was, in unix nanoseconds, or 0.
func readJournal(path, node string, killed int64) (all []tenure, stood []allowance, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	type login struct {
		id    string
		token uint64
	}
	open := make(map[login]int)
	for in := json.NewDecoder(f); ; {
		var l journalLine
		switch err := in.Decode(&l); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // in the midst of a note
			for _, i := range open {
				if killed != 0 {
					all[i].to, all[i].why = max(killed, all[i].from), died
				}
			}
			return all, stood, nil
		case err != nil:
			return nil, nil, fmt.Errorf("the journal of node %s: %w", node, err)
		}
		key := login{l.ID, l.Token}
		switch l.Kind {
		case noteOpen:
			open[key] = len(all)
			all = append(all, tenure{node: node, id: l.ID, token: l.Token, from: l.At})
		case noteClose:
			i, ok := open[key]
			if !ok {
				return nil, nil, broken(exactlyOnce, "node %s closed a session of %s with the token %d that was not open", node, l.ID, l.Token)
			}
			all[i].to, all[i].why = l.At, l.Why
			delete(open, key)
		case noteStill:
			stood = append(stood, allowance{node: node, from: l.Since, to: l.At})
		}
	}
}
