package servers

import (
	"fmt"
	"slices"
)

// maxWaiting is how much may wait for one subscriber of a Broadcaster, in bytes.
const maxWaiting = 1 << 20

// Broadcaster describes one server that sends each message to all its subscribers, which
// are the connections to it. A subscriber for which more than maxWaiting bytes wait is
// closed as slow.
type Broadcaster struct {
	Name   string
	Module string // with its version; "" for the standard library
	How    string // how it is used, and at which setting

	// Start serves on a free port of the loopback interface until Hub.Stop is called.
	Start func() (addr string, h Hub, err error)
}

// Hub is a Broadcaster at work.
type Hub interface {
	// Post sends a message to all subscribers, and waits for none of them. It is called
	// on one goroutine, which may reuse p afterwards.
	Post(p []byte)

	// Len returns the number of subscribers.
	Len() int

	// Slow returns how many subscribers were closed as slow since the start.
	Slow() int

	Stop()
}

// Broadcasters lists the servers that broadcast, this project first.
func Broadcasters() []Broadcaster {
	return []Broadcaster{sessionwheelBroadcaster(), channelsBroadcaster(), nbioBroadcaster()}
}

// BroadcasterByName returns the server with the given name.
func BroadcasterByName(name string) (Broadcaster, error) {
	all := Broadcasters()
	i := slices.IndexFunc(all, func(m Broadcaster) bool { return m.Name == name })
	if i < 0 {
		return Broadcaster{}, fmt.Errorf("servers: unknown broadcaster %q", name)
	}
	return all[i], nil
}
