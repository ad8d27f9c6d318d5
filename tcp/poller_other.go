//go:build !linux

package tcp

// poller wakes parked sessions when there is input. Here there is none, so sessions keep a
// goroutine each.
type poller struct{}

const canPoll = false

func (s *Session) watchInput() bool { return false }

func (srv *Server) stopPolling() {}
