package test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// proxy stands for the network between a node and the broker.
type proxy struct {
	l      net.Listener
	target string
	wg     sync.WaitGroup

	mu   sync.Mutex
	cond *sync.Cond
	// Guarded by mu.
	held   bool // no bytes are forwarded
	closed bool
	conns  map[net.Conn]bool
	trap   []byte // when the node has sent this, held is set
	// filters what the broker sends; nil: forward all.
	inwards func(io.Reader) io.Reader
	// filters what the node sends; nil: forward all.
	outwards func(io.Reader) io.Reader
}

// between starts a proxy that is closed at the end of the test.
func between(t testing.TB, url string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", loopback.Host()+":0")
	require.NoError(t, err)
	p := &proxy{l: l, target: strings.TrimPrefix(url, "nats://"), conns: make(map[net.Conn]bool)}
	p.cond = sync.NewCond(&p.mu)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		p.cond.Broadcast()
		p.mu.Unlock()
		p.reset()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.connect(c) })
	}
}

func (p *proxy) connect(c net.Conn) {
	defer c.Close()
	if !p.admit(c) || !p.pass() {
		return
	}
	d, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer d.Close()
	if !p.admit(d) {
		return
	}
	p.mu.Lock()
	inwards, outwards := p.inwards, p.outwards
	p.mu.Unlock()
	p.wg.Go(func() {
		var from io.Reader = c
		if outwards != nil {
			from = outwards(c)
		}
		p.pipe(from, c, d, true)
	})
	var from io.Reader = d
	if inwards != nil {
		from = inwards(d)
	}
	p.pipe(from, d, c, false)
}

func (p *proxy) admit(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[c] = true
	}
	return !p.closed
}

// pass waits while held is set. It reports false if the proxy is closed.
func (p *proxy) pass() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held && !p.closed {
		p.cond.Wait()
	}
	return !p.closed
}

// pipe forwards what it reads from a connection.
func (p *proxy) pipe(from io.Reader, in, to net.Conn, outwards bool) {
	defer in.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !p.pass() {
			return
		}
		if outwards {
			p.spring(buf[:n])
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) spring(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trap != nil && bytes.Contains(b, p.trap) {
		p.trap, p.held = nil, true
	}
}

// holdAfter stops forwarding as soon as the node has sent the given text. The text itself
// is forwarded, and the broker's answer is not.
func (p *proxy) holdAfter(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = []byte(text)
}

func (p *proxy) holding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// hold stops forwarding, like a network that is cut: neither side sees its connection
// end.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// release forwards the held bytes and all that follow.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	p.cond.Broadcast()
}

// heal closes all connections, which loses the held bytes, and forwards new ones.
func (p *proxy) heal() {
	p.reset()
	p.release()
}

func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}
