package udp

// warn has OnIdle called on the session's run. The pool calls it when the idle
// timeout is near.
func (s *Session) warn(ps *poolSession) {
	s.mu.Lock()
	s.idleDue = true
	wasBusy := s.busy
	s.busy = true
	if !wasBusy {
		ps.Pin() // finishRun unpins, so the session does not time out before or during the call
	}
	s.mu.Unlock()
	if !wasBusy {
		s.server.schedule(s)
	}
}

// notifyIdle calls OnIdle if it is due. handled is whether this run has handled
// datagrams.
func (s *Session) notifyIdle(handled bool) {
	if s.takeIdleDue(handled) {
		s.server.OnIdle(s)
	}
}

// takeIdleDue reports whether OnIdle is to be called, and that is then no longer
// due. A datagram that was received meanwhile has shown that the peer is there,
// unless only sending is activity.
func (s *Session) takeIdleDue(handled bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.idleDue && !s.closed && !s.draining && !s.replaced
	s.idleDue = false
	return due && (s.server.Activity == Sent || !handled && s.numPending == 0)
}
