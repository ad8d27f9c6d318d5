// Package dashboard shows a running server in the browser: its counters, its
// timing wheel, its sessions and the time each has left, the sessions that closed
// last and why, and how late the timers fire. It can also close a session, if its
// user allows that.
//
// A [Handler] is an [net/http.Handler] with everything it serves built in. There
// is no build step, and the page loads nothing from other hosts.
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
// # Serving
//
// An [net/http.Server] has no limits of its own: clients that connect and do nothing, or
// that request and do not read, take its descriptors for good, and with them those of
// the sessions that it shows. [Limit] sets the limits, and [net/http.Server.Shutdown]
// does not end event streams unless it calls the handler's Close:
//
//	web := &http.Server{Handler: mux}
//	web.RegisterOnShutdown(dash.Close)
//	err = web.Serve(dashboard.Limit(web, listener, 0))
//
// Without Limit a server needs ReadHeaderTimeout, ReadTimeout, IdleTimeout and
// MaxHeaderBytes, a listener that limits the number of connections, and something that
// ends connections whose peers do not read. WriteTimeout is not suitable for that, since it
// also ends long answers to peers that do read.
//
// # The wheel
//
// A server or a pool does not give access to the wheel it makes for itself. To
// have the wheel drawn, create it yourself and pass it to both the server and
// [Config.Wheel].
//
// # Access
//
// Anyone who can reach the handler can read everything, including the IDs,
// addresses and labels of all sessions and, with a cluster, the names that sessions logged
// in with. Listen on the loopback interface or put authentication in front of
// the handler. Closing a session needs [Config.Authorize]; without it the handler
// is read-only.
//
// These guards apply against other sites that are open in a user's browser:
//
//   - A request is answered if it comes from the page's own origin or from a program
//     that is not a browser. Browsers name the site that asks in Sec-Fetch-Site, but over
//     plain HTTP they do so only on the loopback interface. Elsewhere the Origin or the
//     Referer has to be the page's own, and a browser that sends neither is refused, such
//     as one in which somebody typed the address of api/stats. Only the page itself, which
//     contains no data, may be visited from anywhere.
//   - A DELETE also needs the header X-Sessionwheel-Request: 1. Another site may send
//     that header only with permission, and the handler never gives it.
//   - An attacker can make a domain name resolve to the user's own machine (DNS
//     rebinding), and the browser then takes the requests for same-site ones. So
//     the handler checks the Host header: it answers for IP addresses, for
//     localhost, and for the names in [Config.Hosts]. A proxy in front must pass
//     on the Host it received, or check it.
//   - A strict Content-Security-Policy allows scripts and styles from the handler
//     only, and no frames and no forms, since the page shows text that peers have
//     chosen.
//
// TLS, authentication and a firewall are up to the user. The guards above matter
// most when authentication relies on cookies or on the client's address alone. Plain
// HTTP gives no protection against anyone on the path between the browser and the server:
// they can read and change what is sent, including passwords and these headers. Beyond the
// loopback interface use TLS.
//
// # Cost
//
// The handler keeps samples of the counters over the last five minutes, which a
// page shows when it is opened. While no page is open, a timer takes a sample every
// two seconds, which takes microseconds, and nothing else happens: no goroutine
// waits. The timer ends with [Handler.Close], and by itself once the Handler has
// been garbage collected. [Config.History] changes the time span, and turns it off.
//
// While at least one event stream is open, one goroutine takes the statistics once
// every [Config.Interval] and builds one event for all streams. A stream keeps only
// the newest event that its page has not read yet. It ends when writing an event
// takes longer than [Config.WriteTimeout], so a slow page delays no other. There
// are at most [Config.MaxPages] streams.
//
// Listing sessions is one pass over all of them. It keeps no more sessions than
// the requested page and those sorted before it, of which there may be 10,000, and
// holds a lock only while it copies a sixty-fourth of the sessions. Passes run one at a
// time, with all that sorting and formatting their pages costs, and each is followed by
// a pause of the same length, so that they use at most half of one processor, however
// many requests there are. Requests for the same page that wait at the same time get the
// result of one pass. Other answers that are made anew for each request, such as the
// sessions that closed last, follow one another in the same way.
//
// # Cluster
//
// With [Config.Cluster] the page also shows the nodes of the cluster that the
// server belongs to, and finds the cluster's sessions: one by its ID, with a
// single request to the broker, or several by a part of the ID, which may read
// the broker's whole directory. The directory is therefore read only on request,
// by one search at a time, for at most ten seconds, and each search is followed
// by a pause of the same length. Requests for single sessions follow one another in
// the same way, and do not wait for such a search. A search keeps at most 500
// sessions, and of each no more than is shown. An incomplete answer says so. If the
// cluster does not answer, the page says that and shows everything else as before.
//
// # Concurrency
//
// All methods may be called from any goroutine. Lock order: the locks of the pool
// and the wheel, and rescues.mu, may be taken, one at a time, while
// Handler.sampling or history.mu is held; streams.mu is held alone. No I/O, no
// function of the Config or the Source, and no method of the Cluster runs under a
// lock.
package dashboard
