// Package loopback finds addresses for servers of tests that are started on a port which is
// known before (one that is started again, or several that must know each other), and for
// those whose clients go on dialling after the server has gone: on 127.0.0.1 they would reach
// whatever listens at that port next.
package loopback

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
)

var hosts atomic.Int64 // how many Host has returned

// Host returns a loopback address that nothing else uses. On 127.0.0.1 another listener or
// connection may get a port that was free a moment ago. Only Linux has such addresses:
// elsewhere Host returns 127.0.0.1. It may be called at the same time.
func Host() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid%250, 1+pid/250%250, 1+hosts.Add(1)%250)
}

// Addrs returns n different TCP addresses of a new Host at which nothing listens.
func Addrs(n int) ([]string, error) {
	host := Host()
	addrs := make([]string, n)
	for i := range addrs {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close() // when all are found: the same could come twice
		addrs[i] = l.Addr().String()
	}
	return addrs, nil
}
