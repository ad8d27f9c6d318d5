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

// memory is what a server's process holds, in bytes.
type memory struct {
	Held float64 // heap and stacks, after garbage collection
	RSS  float64 // resident; 0 where there is no /proc
}

// measured serves as role says, gnet or tcp, prints the address, and then a
// memory for each line that comes. It ends with its input.
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
				_ = s.Send(f) // a session that fails is closed by the server
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

// resident is the process's resident memory, or 0 where there is no /proc.
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

// BenchmarkIdleConnections gives the memory of an idle connection to this server
// and to one of package tcp, each in a process of its own, in turns.
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

// idleConnections makes n connections, each of which has had one frame echoed,
// and returns how much more the server's process holds for each.
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
				_ = c.Conn.(*net.TCPConn).SetLinger(0) // so that no port lingers
				_ = c.Close()
			}
		}
	}
	defer open(10)() // what a server makes once is there before
	before := ask()
	defer open(n)()
	after := ask()
	return memory{(after.Held - before.Held) / float64(n), (after.RSS - before.RSS) / float64(n)}
}
