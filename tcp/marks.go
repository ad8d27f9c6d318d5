package tcp

import "sync/atomic"

// marks are what is true of a session, as any goroutine may find or make it.
type marks struct{ all atomic.Uint32 }

const (
	markHeard     uint32 = 1 << iota // something was read
	markWatched                      // the poller knows its descriptor
	markAwaiting                     // its peer has closed its side, and it owes replies
	markFinishing                    // Finish has closed the session
	markSecured                      // the TLS handshake is done
	markLingers                      // the goroutine that ends the connection has been started
	markGone                         // the connection is closed
	markListed                       // the flusher knows the session
)

func (m *marks) has(mark uint32) bool { return m.all.Load()&mark != 0 }

// set sets a mark, and reports whether it was set before.
func (m *marks) set(mark uint32) (before bool) { return m.all.Or(mark)&mark != 0 }

func (m *marks) clear(mark uint32) { m.all.And(^mark) }
