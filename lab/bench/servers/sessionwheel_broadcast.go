package servers

import (
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

func sessionwheelBroadcaster() Broadcaster {
	return Broadcaster{
		Name:   "sessionwheel",
		Module: "github.com/sessionwheel/sessionwheel",
		How:    "tcp.Group.Post; MaxOutbound 1 MiB and CloseSlow, the defaults",
		Start: func() (string, Hub, error) {
			h := &sessionwheelHub{}
			addr, stop, err := startTCP(&tcp.Server{
				IdleTimeout:          idleTimeout,
				OnNewSessionRegister: func(s *tcp.Session) { h.group.Add(s) },
				OnSessionClosed: func(_ *tcp.Session, r pool.Reason) {
					if r == tcp.ReasonSlow {
						h.slow.Add(1)
					}
				},
			})
			h.stop = stop
			return addr, h, err
		},
	}
}

type sessionwheelHub struct {
	group tcp.Group
	slow  atomic.Int64
	stop  func()
}

func (h *sessionwheelHub) Post(p []byte) { h.group.Post(p) }
func (h *sessionwheelHub) Len() int      { return h.group.Len() }
func (h *sessionwheelHub) Slow() int     { return int(h.slow.Load()) }
func (h *sessionwheelHub) Stop()         { h.stop() }
