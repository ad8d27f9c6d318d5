package dashboard

import (
	"cmp"
	"net"
	"net/http"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/httpguard"
)

// The limits that [Limit] sets.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	idleTimeout    = time.Minute
	stallTimeout   = 5 * time.Second
	maxHeader      = 16 << 10 // bytes
	maxConnections = 256
)

// Limit limits what the clients of an [http.Server] can take: time, descriptors and
// memory. Call it before srv serves, and have it serve the listener that Limit returns.
//
// The parameter connections is how many may be open at the same time; 0 means 256, and a
// negative number means no limit. When all places are taken, a new connection takes the
// place of the one that has made no progress for longest, and waits until that is one
// second at least. So clients that do nothing keep nobody out, and the sessions of the
// same process keep their descriptors.
//
// A connection whose peer takes nothing of an answer for 5 seconds is reset. The limit
// moves with each byte that the peer takes, so it ends neither an event stream nor a long
// answer to a slow reader. A WriteTimeout of srv would; Limit sets none. The kernel
// buffers about 150 KB for a peer that does not read; without Limit, up to some megabytes.
//
// Of the fields of srv that are 0, Limit sets ReadHeaderTimeout to 5 seconds, ReadTimeout
// to 10 seconds, IdleTimeout to a minute, and MaxHeaderBytes to 16 KiB.
func Limit(srv *http.Server, l net.Listener, connections int) net.Listener {
	srv.ReadHeaderTimeout = cmp.Or(srv.ReadHeaderTimeout, headerTimeout)
	srv.ReadTimeout = cmp.Or(srv.ReadTimeout, readTimeout)
	srv.IdleTimeout = cmp.Or(srv.IdleTimeout, idleTimeout)
	srv.MaxHeaderBytes = cmp.Or(srv.MaxHeaderBytes, maxHeader)
	return httpguard.NewListener(l, cmp.Or(connections, maxConnections), stallTimeout)
}
