package servers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudwego/netpoll"
)

func netpollImpl() Impl {
	return Impl{
		Name:    "netpoll",
		Module:  "github.com/cloudwego/netpoll v0.7.2",
		How:     "OnRequest echoes the received frames with Next, WriteBinary and one Flush; its default pollers",
		Timeout: "WithIdleTimeout, which only sets TCP keep-alive",
		Start:   startNetpoll,
		NoTLS:   "it has no TLS",
	}
}

var errNetpollMarker = errors.New("servers: a frame lacks its marker")

func startNetpoll() (string, func(), error) {
	l, err := listen()
	if err != nil {
		return "", nil, err
	}
	el, err := netpoll.NewEventLoop(netpollEcho, netpoll.WithIdleTimeout(idleTimeout))
	if err != nil {
		return "", nil, fmt.Errorf("servers: netpoll: %w", err)
	}
	go func() { _ = el.Serve(l) }() // until Shutdown
	return l.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = el.Shutdown(ctx) // the process ends soon, and with it what is still open
	}, nil
}

func netpollEcho(_ context.Context, c netpoll.Connection) error {
	r, w := c.Reader(), c.Writer()
	for r.Len() >= header {
		head, err := r.Peek(header)
		if err != nil {
			return err
		}
		n, ok := frameLen(head)
		if !ok {
			_ = c.Close()
			return errNetpollMarker
		}
		frame, err := r.Next(n) // waits for the rest of the frame
		if err != nil {
			return err
		}
		if _, err := w.WriteBinary(frame); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return r.Release()
}
