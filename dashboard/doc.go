// Package dashboard shows a running server in the browser: its counters, its
// wheel as it is, its sessions with what each has left, why they closed, how
// late the timers fire; and closes a session when its user allows that.
//
// A [Handler] is an [net/http.Handler] that holds all it serves: nothing is
// built, and nothing comes from elsewhere.
//
// # Mounting
//
// All links are relative, so it works anywhere beneath [net/http.StripPrefix].
// The mount point without its slash is redirected to the one with it.
//
//	dash, err := dashboard.New(dashboard.Config{Source: dashboard.Server(srv), Wheel: w})
//	...
//	http.Handle("/sessions/", http.StripPrefix("/sessions", dash))
//
// [net/http.Server.Shutdown] does not end event streams, so hand it the close:
// httpServer.RegisterOnShutdown(dash.Close).
//
// Nobody reaches the wheel through a server or a pool. Whoever wants it drawn
// makes the wheel, and gives it to both.
//
// # Who may see it, and who may close
//
// Whoever reaches the handler reads everything: the IDs and addresses of all
// sessions too, and of those of the cluster what they logged in with. So listen on the loopback, or put authentication in front of it.
// Closing a session needs [Config.Authorize]; without it the handler is
// read-only.
//
// Against other sites that a user's browser has open:
//
//   - A request that a browser sends for another site is refused beneath api/, as
//     [net/http.CrossOriginProtection] tells it. A DELETE also needs the header
//     X-Sessionwheel-Request: 1, which no other site can send without leave, and
//     none is given.
//   - A name that an attacker owns can be made to lead to the user's own machine
//     (DNS rebinding), and all that the browser then sends looks like the same
//     site's. The Host header tells: requests are answered for IP addresses, for
//     localhost and for [Config.Hosts]. A proxy in front must hand on the Host
//     that it was sent, or check it.
//   - A strict Content-Security-Policy: scripts and styles from the handler alone,
//     no frames, no forms. The page shows text that peers have chosen.
//
// What a handler cannot do is left to its user: TLS, authentication, and a
// firewall for a listener on more than the loopback. Authentication by cookies
// or by the address alone is what these guards matter most for.
//
// # What it costs
//
// Nothing while nobody looks: no goroutine, no timer. While at least one event
// stream is open, one goroutine takes the figures once each [Config.Interval] and
// makes one event of them for all streams. A stream keeps the newest event that
// its page has not taken, and ends when one cannot be written within
// [Config.WriteTimeout], so a slow page holds up nobody. There are at most
// [Config.MaxPages] streams.
//
// A page of sessions is one pass over all of them, which keeps no more of them
// than the page and what is sorted before it, and takes no lock for longer than
// the copy of a sixty-fourth of the sessions. Passes run one at a time, and each
// is followed by a pause of its own length, so that they take half of one
// processor at most, however many ask.
//
// # A cluster
//
// With [Config.Cluster] the page also shows the nodes of the cluster that the server
// is a node of, and finds its sessions: one by its ID with a question to the broker,
// or some by a part of it, which may read all of the broker's directory. So nobody
// reads it unasked; it is read by one search at a time, for at most ten seconds, and
// rests for as long after it; at most 500 sessions are kept, and of each no more than
// is shown. An answer that is not whole says so. When the cluster does not answer,
// that is said, and all else is shown as before.
//
// # Concurrency
//
// All methods may be called from any goroutine. Lock order: Handler.sampling may
// be held while the locks of the pool and the wheel are taken, one at a time;
// streams.mu is held alone. No I/O, no function of the Config or of the Source and
// no method of the Cluster runs under a lock.
package dashboard
