package servers

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

func deadlineImpl() Impl {
	return Impl{
		Name:     "net+deadline",
		How:      "a goroutine per connection, bufio.Scanner with tcp.ScanFrames; SetReadDeadline before each read; a listener of crypto/tls under TLS",
		Timeout:  "the read deadline",
		Start:    func() (string, func(), error) { return startNet(true, nil) },
		StartTLS: overTLS(func(config *tls.Config) (string, func(), error) { return startNet(true, config) }),
	}
}

func scannerImpl() Impl {
	return Impl{
		Name:     "net",
		How:      "a goroutine per connection, bufio.Scanner with tcp.ScanFrames, the least that a server can do; a listener of crypto/tls under TLS",
		Timeout:  "none: it never sets a deadline",
		Start:    func() (string, func(), error) { return startNet(false, nil) },
		StartTLS: overTLS(func(config *tls.Config) (string, func(), error) { return startNet(false, config) }),
	}
}

// deadlineReader sets the read deadline before each read.
type deadlineReader struct{ net.Conn }

func (c deadlineReader) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// startNet serves over TLS unless config is nil.
func startNet(deadline bool, config *tls.Config) (string, func(), error) {
	l, err := listen()
	if err != nil {
		return "", nil, err
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	var all sync.WaitGroup
	var conns sync.Map // for stop to close
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(c, nil)
			all.Go(func() {
				defer conns.Delete(c)
				defer c.Close()
				echo(c, deadline)
			})
		}
	})
	return l.Addr().String(), func() {
		_ = l.Close()
		conns.Range(func(c, _ any) bool {
			_ = c.(net.Conn).Close()
			return true
		})
		all.Wait()
	}, nil
}

func echo(c net.Conn, deadline bool) {
	sc := bufio.NewScanner(c)
	if deadline {
		sc = bufio.NewScanner(deadlineReader{c})
	}
	sc.Split(scanRawFrames)
	sc.Buffer(nil, maxFrame+1)
	for sc.Scan() {
		if _, err := c.Write(sc.Bytes()); err != nil {
			return
		}
	}
}
