package main

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

// event is what a page is told about its room.
type event struct {
	Kind string `json:"kind"` // "joined", "said" or "left"
	Name string `json:"name"`
	Text string `json:"text,omitempty"` // what was said, or why somebody left
	Here int    `json:"here"`           // how many are in the room
}

// rooms knows who is where. The zero value is a server without anybody.
type rooms struct {
	mu sync.Mutex
	// Guarded by mu. No room is empty.
	members map[string]map[*session]bool
}

func (r *rooms) enter(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members == nil {
		r.members = make(map[string]map[*session]bool)
	}
	name := s.Conn().room
	if r.members[name] == nil {
		r.members[name] = make(map[*session]bool)
	}
	r.members[name][s] = true
}

func (r *rooms) leave(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := s.Conn().room
	delete(r.members[name], s)
	if len(r.members[name]) == 0 {
		delete(r.members, name)
	}
}

func (r *rooms) in(name string) []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.members[name]))
}

// tell sends an event about s to everybody in its room. It never blocks.
func (c *chat) tell(s *session, e event) {
	members := c.rooms.in(s.Conn().room)
	e.Name, e.Here = s.ID(), len(members)
	message, err := json.Marshal(e)
	if err != nil {
		panic(err) // texts and a number always marshal
	}
	for _, m := range members {
		m.Conn().send(message)
	}
}
