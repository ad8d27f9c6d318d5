// Package dashboard shows a running server in the browser: its counters, its
// timing wheel, its sessions with the time each has left, the sessions that
// closed last and why, and how late the timers fire. It closes a session on
// request, if its user allows that.
//
// A [Handler] is an [net/http.Handler]. Everything it serves is embedded in it:
// there is nothing to build, and the page loads nothing from elsewhere.
//
// # Mounting
//
// All links on the page are relative, so the handler works under any path with
// [net/http.StripPrefix]. A request for the mount point without its final slash
// is redirected to the one with it.
//
//	dash, err := dashboard.New(dashboard.Config{Source: dashboard.Server(srv), Wheel: w})
//	...
//	http.Handle("/sessions/", http.StripPrefix("/sessions", dash))
//
// [net/http.Server.Shutdown] does not end event streams, so let it call Close:
// httpServer.RegisterOnShutdown(dash.Close).
//
// A server or a pool does not give access to its wheel. To have the wheel shown,
// make one and pass it to the server and to the dashboard.
//
// # Who can read it, and who can close sessions
//
// Anyone who can reach the handler can read everything: the IDs and addresses of
// all sessions, and the metadata of the cluster's sessions. Listen on the loopback
// interface, or put authentication in front of it. Closing a session needs
// [Config.Authorize]; without it the handler is read-only.
//
// The handler defends a user's browser against other sites that are open in it:
//
//   - It refuses requests beneath api/ that a browser sends on behalf of another
//     site, by the rules of [net/http.CrossOriginProtection]. A DELETE must also
//     have the header X-Sessionwheel-Request: 1. Another site cannot send that
//     without permission, and the handler grants none.
//   - An attacker can point a name of their own at the user's machine (DNS
//     rebinding); the browser then takes the attacker's page and the dashboard for
//     one site. So the handler checks the Host header: it answers for IP addresses,
//     for localhost and for [Config.Hosts]. A proxy in front must pass the Host
//     header on unchanged, or check it itself.
//   - A strict Content-Security-Policy allows scripts and styles from the handler
//     alone, no frames and no forms. The page shows text that peers have chosen.
//
// TLS, authentication, and a firewall for a listener beyond the loopback are up to
// the user. The checks above matter most where authentication relies on cookies or
// on the client's address alone.
//
// # Cost
//
// While no page is open, a timer takes some twenty numbers every 2 seconds, which
// takes microseconds: the last five minutes, which a page shows when it is opened.
// [Config.History] changes that and turns it off. A timer is no goroutine; it ends
// with [Handler.Close], and soon after the Handler has become unreachable. Beyond
// that an unused Handler does nothing.
//
// While at least one event stream is open, one goroutine takes the statistics
// every [Config.Interval] and makes one event of them for all streams. A stream
// keeps only the newest event that its page has not read, and ends when an event
// cannot be written within [Config.WriteTimeout], so a slow page delays nothing.
// There are at most [Config.MaxPages] streams.
//
// A request for a page of sessions looks at each session once. It keeps no more
// of them than the page and what sorts before it, and holds a lock no longer than
// it takes to copy a sixty-fourth of the sessions. Such searches run one at a
// time, each followed by a pause as long as the search was, so they use half of
// one processor at most, however many clients ask.
//
// # Clusters
//
// With [Config.Cluster] the page also lists the nodes of the server's cluster and
// searches the cluster's sessions. A search for a whole ID asks the broker one
// question. Any other search may read the broker's whole directory, so it runs on
// request only: one at a time, for at most ten seconds, followed by a pause of the
// same length. It returns at most 500 sessions, and says so when there may be
// more. If the cluster does not answer, the page says so and shows the rest as
// before.
//
// # Concurrency
//
// All methods may be called from any goroutine. Handler.sampling and history.mu
// may be held while the locks of the pool and the wheel are taken, one at a time.
// No other lock is taken while one is held. No I/O, no function of the Config or
// the Source and no method of the Cluster runs under a lock.
package dashboard
