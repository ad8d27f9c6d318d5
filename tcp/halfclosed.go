package tcp

// awaitReplies waits, when the peer has closed its side, until the replies that it may still
// wait for have been sent: nothing waits to be written, nobody holds the session and no
// OnIdle runs; or until the session is closed.
func (s *Session) awaitReplies() {
	for {
		wake := make(chan struct{})
		s.wakeup.Store(&wake)
		if s.phase.Load() == phaseOver || s.holds.Load() == 0 && s.idling.Load() == nil && s.hasWritten() {
			s.wakeup.Store(nil)
			return
		}
		<-wake
	}
}

// hasWritten reports whether nothing waits to be written.
func (s *Session) hasWritten() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return !s.out.turn && s.out.queue.head == nil
}

// wakeEnd makes awaitReplies look again.
func (s *Session) wakeEnd() {
	if s.wakeup.Load() == nil {
		return
	}
	if wake := s.wakeup.Swap(nil); wake != nil {
		close(*wake)
	}
}
