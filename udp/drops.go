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

// cause says what is reported: why a datagram was refused or dropped, or what else a
// flood of datagrams may cause.
type cause int

const (
	dropFull cause = iota
	dropTooManyFromIP
	dropTooLarge
	dropPendingFull
	dropBadAddress
	dropOwnAddress
	failedReply // of Admit
	failedAdmit
	numCauses
)

var dropErrors = [...]error{pool.ErrFull, ErrTooManyFromIP, ErrTooLarge, ErrPendingFull, ErrBadAddress, ErrOwnAddress}

// reports holds, for each cause, when it was last reported and how many datagrams
// were not.
type reports [numCauses]struct {
	lastReported time.Time
	suppressed   uint64 // datagrams since lastReported
}

// reportDrop reports a refused or dropped datagram, as reportLimited does.
func (srv *Server) reportDrop(c cause, addr netip.AddrPort) {
	srv.reportLimited(c, func() error {
		return fmt.Errorf("udp: dropped a datagram from %v: %w", addr, dropErrors[c])
	})
}

// reportLimited calls OnError for one datagram, at most once per reportInterval and
// cause. It must be called on the goroutine that reads.
func (srv *Server) reportLimited(c cause, describe func() error) {
	r := &srv.reports[c]
	now := time.Now()
	if !r.lastReported.IsZero() && now.Sub(r.lastReported) < reportInterval {
		r.suppressed++
		return
	}
	err := describe()
	if r.suppressed > 0 {
		err = fmt.Errorf("%w (and %d more since the last report)", err, r.suppressed)
	}
	r.lastReported, r.suppressed = now, 0
	srv.reportError(err)
}
