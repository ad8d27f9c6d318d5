package test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is the network between a node and the broker.
type proxy struct {
	l      net.Listener
	target string
	wg     sync.WaitGroup

	mu   sync.Mutex
	cond *sync.Cond
	// Guarded by mu.
	held   bool // bytes wait
	closed bool
	conns  map[net.Conn]bool
	trap   []byte // when the node sends this, it goes through, and then all is held
	// What the node gets of what the broker sends; nil: all.
	inwards func(io.Reader) io.Reader
}

// between starts a proxy that ends with the test.
func between(t testing.TB, url string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
	p.wg.Go(func() { p.pipe(c, c, d, true) })
	p.mu.Lock()
	inwards := p.inwards
	p.mu.Unlock()
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

// pass waits while bytes are held; false when the proxy is closed.
func (p *proxy) pass() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held && !p.closed {
		p.cond.Wait()
	}
	return !p.closed
}

// pipe passes on what is read of a connection.
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

// holdAfter holds all bytes once the node has sent the given text, which still
// goes through: what the broker answers does not.
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

// hold keeps all bytes, as a network that is cut: no end of a connection is seen.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// release lets the bytes go on that were held.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	p.cond.Broadcast()
}

// heal loses the bytes that were held, with their connections, and lets new ones
// through.
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
