package udp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// quiet is how long nothing is told of a cause after it was told of, so that who
// sends a flood does not get to write the log as well.
const quiet = time.Second

// cause is why a datagram was refused or dropped.
type cause int

const (
	full cause = iota
	tooManyFromIP
	tooLarge
	pendingFull
	badAddress
	causes
)

var causeErrors = [causes]error{pool.ErrFull, ErrTooManyFromIP, ErrTooLarge, ErrPendingFull, ErrBadAddress}

// complaints are what OnError was told and not told of each cause.
type complaints [causes]struct {
	told   time.Time // when it was told of last
	untold uint64    // since then
}

// complain tells OnError of a datagram that was refused or dropped, unless it
// was told of such a one a moment ago. It is called on Serve's goroutine.
func (srv *Server) complain(why cause, addr netip.AddrPort) {
	c := &srv.complaints[why]
	now := time.Now()
	if !c.told.IsZero() && now.Sub(c.told) < quiet {
		c.untold++
		return
	}
	err := fmt.Errorf("udp: dropped a datagram from %v: %w", addr, causeErrors[why])
	if c.untold > 0 {
		err = fmt.Errorf("%w (and %d more since the last report)", err, c.untold)
	}
	c.told, c.untold = now, 0
	srv.tellError(err)
}
