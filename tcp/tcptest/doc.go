// Package tcptest connects a server and its tests in memory, in place of loopback
// sockets. [Listen] makes a net.Listener for the server; [Listener.Dial] connects to
// it and returns the peer's side.
//
// Goroutines block on timers and condition variables only, so a server and its peers can
// run in a bubble of testing/synctest, where eight hours of keep-alive take
// milliseconds:
//
//	synctest.Test(t, func(t *testing.T) {
//		l := tcptest.Listen()
//		go srv.Serve(l)
//		defer srv.Shutdown(t.Context())
//		c, err := l.Dial()
//		...
//		time.Sleep(8 * time.Hour)
//	})
//
// Make the listener inside the bubble in which it is used. Outside one, everything works
// in real time.
//
// # Behavior
//
// A connection behaves as a TCP connection of package net on Linux. Each direction has a
// buffer: Write succeeds while there is room, whether or not the other side reads, and
// blocks when there is none. A peer that stops reading is one that does not call Read.
// [Conn.CloseWrite] half-closes and [Conn.Cut] resets.
//
// It differs from a socket in three ways. What is written can be read at once. A reset
// destroys everything that was not read, of which sockets often destroy only a part. And
// after a reset, every Read fails with ECONNRESET, not only the first.
package tcptest
