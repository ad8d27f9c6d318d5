//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// memory is the memory of a server's process, in bytes.
type memory struct {
	Held float64 // heap and stacks, after garbage collection
	RSS  float64 // resident; 0 where there is no /proc
}

// measured runs a server of the given role, gnet or tcp. It prints the address, and then
// a memory for each line of its input. It returns at the end of the input.
func measured(role string) {
	addr, err := serveFor(role)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitRuntime)
	}
	fmt.Println(addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := json.NewEncoder(os.Stdout).Encode(holds()); err != nil {
			os.Exit(exitRuntime)
		}
	}
}

func serveFor(role string) (net.Addr, error) {
	switch role {
	case "gnet":
		sv, err := newServer(config{timeout: time.Hour, maxFrame: largestFrame}, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			return nil, err
		}
		go func() { _ = sv.run("127.0.0.1:0") }() // ends with the process
		return <-sv.booted, nil
	case "tcp":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		sv := &tcp.Server{Split: tcp.ScanFrames, IdleTimeout: time.Hour, OnMessage: func(s *tcp.Session, body []byte) {
			f, err := tcp.AppendFrame(nil, body)
			if err == nil {
				_ = s.Send(f) // if it fails, the server closes the session
			}
		}}
		go func() { _ = sv.Serve(l) }() // ends with the process
		return l.Addr(), nil
	}
	return nil, fmt.Errorf("%s=%s is no role", roleEnv, role)
}

func holds() memory {
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{Held: float64(m.HeapAlloc + m.StackInuse), RSS: resident()}
}

// resident returns the resident memory of the process, or 0 if there is no /proc.
func resident() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize())
}

// BenchmarkIdleConnections measures the memory of an idle connection to this server and
// to one of package tcp, alternately, each in a process of its own.
func BenchmarkIdleConnections(b *testing.B) {
	const conns = 5000
	sum := map[string]memory{}
	rounds := 0.0
	for b.Loop() {
		for _, role := range []string{"gnet", "tcp"} {
			m, s := idleConnections(b, role, conns), sum[role]
			sum[role] = memory{s.Held + m.Held, s.RSS + m.RSS}
		}
		rounds++
	}
	g, t := sum["gnet"], sum["tcp"]
	b.ReportMetric(g.Held/rounds, "gnet-B/conn")
	b.ReportMetric(t.Held/rounds, "tcp-B/conn")
	b.ReportMetric(t.Held/g.Held, "tcp/gnet")
	b.ReportMetric(g.RSS/rounds, "gnet-RSS-B/conn")
	b.ReportMetric(t.RSS/rounds, "tcp-RSS-B/conn")
	b.ReportMetric(t.RSS/g.RSS, "tcp/gnet-RSS")
	b.ReportMetric(0, "ns/op")
}

// idleConnections opens n connections, has one frame echoed on each, and returns by how
// much the memory of the server's process has grown per connection.
func idleConnections(b *testing.B, role string, n int) memory {
	cmd := command(b, role, self(b))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	defer func() {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait())
	}()
	out := bufio.NewScanner(stdout)
	require.True(b, out.Scan())
	addr := out.Text()
	ask := func() (m memory) {
		_, err := fmt.Fprintln(in)
		require.NoError(b, err)
		require.True(b, out.Scan())
		require.NoError(b, json.Unmarshal(out.Bytes(), &m))
		return m
	}
	open := func(n int) (close func()) {
		all := make([]peer, n)
		for i := range all {
			all[i] = dial(b, addr)
			all[i].echo(strings.Repeat("x", 60))
		}
		return func() {
			for _, c := range all {
				_ = c.Conn.(*net.TCPConn).SetLinger(0) // so that no port stays in TIME_WAIT
				_ = c.Close()
			}
		}
	}
	defer open(10)() // so that what a server allocates once is not counted
	before := ask()
	defer open(n)()
	after := ask()
	return memory{(after.Held - before.Held) / float64(n), (after.RSS - before.RSS) / float64(n)}
}
