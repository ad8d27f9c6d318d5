package servers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
)

func gnetImpl() Impl {
	return Impl{
		Name:    "gnet",
		Module:  "github.com/panjf2000/gnet/v2 v2.9.7",
		How:     "WithMulticore(true); OnTraffic calls Peek, one Write of the complete frames, and Discard",
		Timeout: "none: it has no idle timeout; its users sweep in OnTick",
		Start:   startGnet,
		NoTLS:   "it has no TLS",
	}
}

type gnetEcho struct {
	gnet.BuiltinEventEngine
	booted chan gnet.Engine // has a buffer of one
}

func (e *gnetEcho) OnBoot(eng gnet.Engine) gnet.Action {
	e.booted <- eng
	return gnet.None
}

func (e *gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	data, _ := c.Peek(-1) // everything received: it cannot fail
	n, ok := wholeFrames(data)
	if !ok {
		return gnet.Close
	}
	if n == 0 {
		return gnet.None
	}
	if _, err := c.Write(data[:n]); err != nil {
		return gnet.Close
	}
	_, _ = c.Discard(n)
	return gnet.None
}

func startGnet() (string, func(), error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	e := &gnetEcho{booted: make(chan gnet.Engine, 1)}
	failed := make(chan error, 1)
	go func() { // until the engine is stopped
		failed <- gnet.Run(e, fmt.Sprintf("tcp://127.0.0.1:%d", port),
			gnet.WithMulticore(true), gnet.WithLogLevel(logging.FatalLevel))
	}()
	select {
	case eng := <-e.booted:
		addr, err := waitForServer(port)
		return addr, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = eng.Stop(ctx) // the process ends soon anyway
		}, err
	case err := <-failed:
		return "", nil, fmt.Errorf("servers: gnet: %w", err)
	case <-time.After(10 * time.Second):
		return "", nil, errors.New("servers: gnet did not start within 10 s")
	}
}
