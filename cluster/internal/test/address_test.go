package test

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
)

var hosts atomic.Int64 // the addresses that ownHost has returned

// ownHost returns a loopback address that nothing else uses, for a broker that is started
// again on the same port. On 127.0.0.1 another listener or connection may get the port
// meanwhile. Only Linux has such addresses: elsewhere ownHost returns 127.0.0.1.
func ownHost() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	n := hosts.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()%250, 1+n/250, 1+n%250)
}
