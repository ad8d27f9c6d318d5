package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// mostGuests bounds the clients that come and go after the verdict, and so how
// many connections they make in a second.
const mostGuests = 500

// entertain keeps clients coming and going at addr until ctx ends, so that the
// page has something to show: each talks for a while, and then leaves or, more
// often, falls silent and is closed. All of them have ended when it returns.
func entertain(ctx context.Context, addr string, cfg demoConfig) {
	var wg sync.WaitGroup
	for range min(cfg.Clients, mostGuests) {
		wg.Go(func() {
			for pause(ctx, rand.N(2*cfg.Idle)) {
				visit(ctx, addr, cfg)
			}
		})
	}
	wg.Wait()
}

// visit is one client's stay. What ends it early, such as a server that is busy,
// is no matter: the next visit comes after a pause.
func visit(ctx context.Context, addr string, cfg demoConfig) {
	conn, err := dial(ctx, addr, nil, protocol{append: appendLine})
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for leaves := time.Now().Add(rand.N(6 * cfg.Idle)); time.Now().Before(leaves); {
		if _, _, err := conn.send([]byte("hello again")); err != nil {
			return
		}
		if conn.receive() != nil || !pause(ctx, rand.N(2*cfg.interval())) {
			return
		}
	}
	if rand.N(4) > 0 {
		_ = conn.awaitClose()
	}
}

// pause waits, and reports false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
