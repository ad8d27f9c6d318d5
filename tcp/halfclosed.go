package tcp

// awaitReplies ends a session whose peer has closed its side as soon as the replies that it
// may still wait for have been sent. Until then the session is parked.
func (s *Session) awaitReplies() (parked bool) {
	s.giveBack()
	s.unreserveInput()
	s.marks.set(markAwaiting)
	for s.owesReplies() {
		if s.park((*Session).owesReplies) {
			return true
		}
	}
	s.fail(eof)
	return false
}

// owesReplies reports whether something waits to be written, somebody holds the session, or
// OnIdle runs; and the session is open.
func (s *Session) owesReplies() bool {
	return s.phase.Load() != phaseOver && (s.holds.Load() > 0 || s.idling.Load() != nil || !s.hasWritten())
}

// hasWritten reports whether nothing waits to be written.
func (s *Session) hasWritten() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return !s.out.turn && s.out.queue.head == nil
}

// wakeEnd has a session that awaits its replies look again.
func (s *Session) wakeEnd() {
	if s.marks.has(markAwaiting) {
		s.wake()
	}
}
