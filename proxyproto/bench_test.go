package proxyproto_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/proxyproto"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// wrapping wraps connections as netutil.LimitListener does: they embed net.Conn and
// show nothing of what is beneath.
type wrapping struct{ net.Listener }

type wrapped struct{ net.Conn }

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wrapped{c}, nil
}

// BenchmarkEcho echoes frames of 64 bytes over 50 connections, each of which sends the
// next one when the last has come back. The clients are a process of their own, so that
// cpu-ns/frame and reads/frame are those of the server. Each connection has echoed
// frames before.
func BenchmarkEcho(b *testing.B) {
	for _, reply := range []string{"send", "post"} {
		for _, conn := range []string{"plain", "proxyproto", "wrapped"} {
			b.Run("reply="+reply+"/conn="+conn, func(b *testing.B) {
				inner, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(b, err)
				l, header := inner, ""
				switch conn {
				case "proxyproto":
					header = "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n"
					l, err = proxyproto.New(inner, proxyproto.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
					require.NoError(b, err)
				case "wrapped":
					l = wrapping{inner}
				}
				srv := &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) {
					line := append(p, '\n')
					if reply == "send" {
						_ = s.Send(line)
					} else {
						_ = s.Post(line)
					}
				}}
				serveOn(b, srv, l)
				c := startClients(b, inner.Addr().String(), header)
				c.run(2000)
				cpu, reads := used(b)
				b.ResetTimer()
				c.run(b.N)
				b.StopTimer()
				cpuAfter, readsAfter := used(b)
				b.ReportMetric(float64(cpuAfter-cpu)/float64(b.N), "cpu-ns/frame")
				b.ReportMetric(float64(readsAfter-reads)/float64(b.N), "reads/frame")
			})
		}
	}
}

// used returns the processor time and, on Linux, the read calls of this process.
func used(b *testing.B) (cpu time.Duration, reads int) {
	var ru syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &ru))
	text, _ := os.ReadFile("/proc/self/io") // missing elsewhere
	for line := range strings.Lines(string(text)) {
		if n, found := strings.CutPrefix(line, "syscr: "); found {
			reads, _ = strconv.Atoi(strings.TrimSpace(n))
		}
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), reads
}

// clientsEnv makes a test binary the clients of a benchmark. Its value is the server's
// address and the header that each connection begins with.
const clientsEnv = "SESSIONWHEEL_PROXYPROTO_CLIENTS"

// clients is the process with the clients.
type clients struct {
	b   *testing.B
	in  io.Writer
	out *bufio.Scanner
}

func startClients(b *testing.B, addr, header string) *clients {
	exe, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), clientsEnv+"="+addr+" "+header)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close() // ends the process
		_ = cmd.Wait()
	})
	return &clients{b, in, bufio.NewScanner(out)}
}

// run echoes n frames.
func (c *clients) run(n int) {
	_, err := fmt.Fprintln(c.in, n)
	require.NoError(c.b, err)
	require.True(c.b, c.out.Scan(), "the clients have ended")
	require.Equal(c.b, strconv.Itoa(n), c.out.Text())
}

// runClients is the process with the clients: for each number that it reads, it echoes so
// many frames and writes the number.
func runClients(target string) error {
	addr, header, _ := strings.Cut(target, " ")
	conns := make([]net.Conn, 50)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(c, header); err != nil {
			return err
		}
		conns[i] = c
	}
	frame := append(bytes.Repeat([]byte("x"), 63), '\n')
	for sc := bufio.NewScanner(os.Stdin); sc.Scan(); {
		n, err := strconv.Atoi(sc.Text())
		if err != nil {
			return err
		}
		var all sync.WaitGroup
		var left atomic.Int64
		var failed atomic.Pointer[error]
		left.Store(int64(n))
		for _, c := range conns {
			all.Go(func() {
				p := make([]byte, len(frame))
				for left.Add(-1) >= 0 {
					_, err := c.Write(frame)
					if err == nil {
						_, err = io.ReadFull(c, p)
					}
					if err != nil {
						failed.Store(&err)
						return
					}
				}
			})
		}
		all.Wait()
		if err := failed.Load(); err != nil {
			return *err
		}
		fmt.Println(n)
	}
	return nil
}
