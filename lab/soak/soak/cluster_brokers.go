//go:build !nocluster

package soak

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// brokers are the processes of the brokers: one, or three that keep the same.
type brokers struct {
	orders []brokerOrder
	child  []*child // nil: it does not run
	addrs  []string // where clients reach them: host:port
	exe    string   // the program that they are; "" for this one
}

// newBrokers prepares n brokers, which need the password if it is not "".
func newBrokers(dir string, n int, password string) (*brokers, error) {
	b := &brokers{child: make([]*child, n), addrs: make([]string, n)}
	if n == 1 {
		b.orders = []brokerOrder{{Name: "broker", Addr: loopback.Host() + ":0"}}
	} else {
		addrs, err := loopback.Addrs(2 * n)
		if err != nil {
			return nil, err
		}
		var routes []string
		for _, addr := range addrs[n:] {
			routes = append(routes, "nats://"+addr)
		}
		for i := range n {
			b.orders = append(b.orders, brokerOrder{Name: fmt.Sprint("broker", i), Addr: addrs[i], Route: addrs[n+i], Routes: routes})
		}
	}
	for i := range b.orders {
		o := &b.orders[i]
		o.Dir, o.Log, o.Password = filepath.Join(dir, o.Name), filepath.Join(dir, o.Name+".log"), password
	}
	return b, nil
}

func (b *brokers) start(ctx context.Context, i int) error {
	return b.startWithin(ctx, i, 2*clusterPatience) // it gives up sooner by itself
}

// startWithin starts a broker, and kills it if it takes longer.
func (b *brokers) startWithin(ctx context.Context, i int, most time.Duration) error {
	c, err := startChild(ctx, b.exe, "broker", b.orders[i])
	if err != nil {
		return err
	}
	defer time.AfterFunc(most, func() { _ = c.cmd.Process.Kill() }).Stop() // then hear fails
	var hello brokerHello
	if err := c.hear(&hello); err != nil {
		c.kill()
		return err
	}
	b.child[i], b.addrs[i] = c, strings.TrimPrefix(hello.URL, "nats://")
	return nil
}

// startAll starts all at once: a replicated one is ready when it has met others.
func (b *brokers) startAll(ctx context.Context, which ...int) error {
	return forAll(which, func(i int) error { return b.start(ctx, i) })
}

// stop ends a broker in good order.
func (b *brokers) stop(i int) error {
	c := b.child[i]
	b.child[i] = nil
	return c.wait()
}

// kill ends a broker as a crash does.
func (b *brokers) kill(i int) {
	if c := b.child[i]; c != nil {
		b.child[i] = nil
		c.kill()
	}
}

// url is where all are reached.
func (b *brokers) url() string { return b.urlAt(b.addrs...) }

// urlAt is where the brokers are reached at other addresses.
func (b *brokers) urlAt(addrs ...string) string {
	who := ""
	if password := b.orders[0].Password; password != "" {
		who = brokerUser + ":" + password + "@"
	}
	var urls []string
	for _, addr := range addrs {
		urls = append(urls, "nats://"+who+addr)
	}
	return strings.Join(urls, ",")
}
