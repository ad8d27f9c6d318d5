package udp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// reportInterval is the minimum time between reports of one cause, so that a
// flood of datagrams does not flood the log.
const reportInterval = time.Second

// dropCause says why a datagram was refused or dropped.
type dropCause int

const (
	dropFull dropCause = iota
	dropTooManyFromIP
	dropTooLarge
	dropPendingFull
	dropBadAddress
	dropOwnAddress
	numDropCauses
)

var dropErrors = [numDropCauses]error{pool.ErrFull, ErrTooManyFromIP, ErrTooLarge, ErrPendingFull, ErrBadAddress, ErrOwnAddress}

// dropReports holds, for each cause, when it was last reported and how many
// datagrams were not.
type dropReports [numDropCauses]struct {
	lastReported time.Time
	suppressed   uint64 // datagrams since lastReported
}

// reportDrop calls OnError for a refused or dropped datagram, at most once per
// reportInterval and cause. It must be called on Serve's goroutine.
func (srv *Server) reportDrop(cause dropCause, addr netip.AddrPort) {
	r := &srv.drops[cause]
	now := time.Now()
	if !r.lastReported.IsZero() && now.Sub(r.lastReported) < reportInterval {
		r.suppressed++
		return
	}
	err := fmt.Errorf("udp: dropped a datagram from %v: %w", addr, dropErrors[cause])
	if r.suppressed > 0 {
		err = fmt.Errorf("%w (and %d more since the last report)", err, r.suppressed)
	}
	r.lastReported, r.suppressed = now, 0
	srv.reportError(err)
}
