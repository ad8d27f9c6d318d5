package demo

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/wait"
)

// maxChurn bounds the clients that come and go after the verdict, and so how many
// connections they make in a second.
const maxChurn = 500

// churn has clients connect to addr and leave again until ctx ends, so that the
// page has something to show. Each talks for a while, and then leaves or, more
// often, falls silent and is closed. All of them have ended when it returns.
func churn(ctx context.Context, addr string, cfg Config) {
	var wg sync.WaitGroup
	for range min(cfg.Clients, maxChurn) {
		wg.Go(func() {
			for wait.Sleep(ctx, rand.N(2*cfg.Idle)) {
				connectOnce(ctx, addr, cfg)
			}
		})
	}
	wg.Wait()
}

// connectOnce is one connection of a client. An error that ends it, such as of a
// busy server, does not matter: the client connects again after a pause.
func connectOnce(ctx context.Context, addr string, cfg Config) {
	conn, err := echo.Dial(ctx, addr, nil, echo.Lines)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for leaves := time.Now().Add(rand.N(6 * cfg.Idle)); time.Now().Before(leaves); {
		if _, _, err := conn.Send([]byte("hello again")); err != nil {
			return
		}
		if conn.Receive() != nil || !wait.Sleep(ctx, rand.N(2*cfg.interval())) {
			return
		}
	}
	if rand.N(4) > 0 {
		_ = conn.AwaitClose()
	}
}
