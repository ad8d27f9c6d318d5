package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
)

var measured = flag.Int("measure", 0, "measure this broker beside mosquitto and mochi's for so many `rounds`")

// mochiBroker runs mochi's broker until the process is killed.
func mochiBroker() {
	srv := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := srv.AddHook(new(auth.AllowHook), nil); err != nil {
		panic(err)
	}
	if err := srv.AddListener(l); err != nil {
		panic(err)
	}
	if err := srv.Serve(); err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, "mochi: listening on", l.Address())
	select {}
}

// rival is a running broker that is measured.
type rival struct {
	addr string
	pid  int
}

var rivals = map[string]func(t *testing.T) rival{
	"ours": func(t *testing.T) rival {
		p := launch(t, 1)
		return rival{p.addrs[0], p.cmd.Process.Pid}
	},
	"mochi": func(t *testing.T) rival {
		t.Setenv("MQTT_TEST_MOCHI", "1")
		p := launch(t, 1)
		return rival{p.addrs[0], p.cmd.Process.Pid}
	},
	"mosquitto": func(t *testing.T) rival {
		addr, pid := startMosquitto(t)
		return rival{addr, pid}
	},
}

// processorTime returns what the broker has used.
func (r rival) processorTime(t *testing.T) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.pid))
	require.NoError(t, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// resident returns the broker's resident memory in bytes.
func (r rival) resident(t *testing.T) int {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", r.pid))
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

// TestMeasure prints figures. The brokers take turns, each with a new process.
func TestMeasure(t *testing.T) {
	if *measured == 0 {
		t.Skip("-measure is not set")
	}
	for _, what := range []struct {
		name string
		f    func(t *testing.T, r rival) string
	}{
		{"fan-out", measureFanOut},
		{"latency", measureLatency},
		{"idle", measureIdle},
		{"come back", measureComeBack},
		{"expire", measureExpire},
		{"takeover", measureTakeover},
	} {
		for round := range *measured {
			for _, name := range []string{"mosquitto", "mochi", "ours"} {
				t.Run(strings.Join([]string{what.name, name}, "/"), func(t *testing.T) {
					fmt.Printf("%-10s round %d %-10s %s\n", what.name, round+1, name, what.f(t, rivals[name](t)))
				})
			}
		}
	}
}

const (
	readers   = 990
	deaf      = 10 // subscribers that do not read
	payload   = 256
	published = 1 + 2 + 2 + 1 + payload // the length of a PUBLISH to the topic "f"
)

// audience connects the subscribers of the fan-out. Each reader calls got with what it reads.
func audience(t *testing.T, r rival, got func(p []byte)) {
	for i := range readers + deaf {
		p, _ := login(t, r.addr, 4, fmt.Sprint("sub", i))
		p.subscribe(0, "f")
		require.NoError(t, p.SetDeadline(time.Time{}))
		if i < deaf {
			require.NoError(t, p.Conn.(*net.TCPConn).SetReadBuffer(4096))
			continue
		}
		go func() { // ends with the connection
			buf := make([]byte, 32<<10)
			for {
				n, err := p.r.Read(buf)
				if err != nil {
					return
				}
				got(buf[:n])
			}
		}()
	}
}

func measureFanOut(t *testing.T, r rival) string {
	var received atomic.Int64
	audience(t, r, func(p []byte) { received.Add(int64(len(p))) })
	pub, _ := login(t, r.addr, 4, "pub")
	burst := bytes.Repeat(pub.encoded(packets.Publish, msg(0, "f", strings.Repeat("x", payload))), 32)
	require.NoError(t, pub.SetDeadline(time.Time{}))
	var done sync.WaitGroup
	done.Go(func() { // ends with the connection
		for {
			if _, err := pub.Write(burst); err != nil {
				return
			}
		}
	})
	time.Sleep(time.Second)
	const window = 5 * time.Second
	before, cpu, start := received.Load(), r.processorTime(t), time.Now()
	time.Sleep(window)
	n, took, used := (received.Load()-before)/published, time.Since(start), r.processorTime(t)-cpu
	_ = pub.Close()
	done.Wait()
	return fmt.Sprintf("%8.0f deliveries/s, %6.2f µs of processor time each", float64(n)/took.Seconds(), used.Seconds()*1e6/float64(max(1, n)))
}

func measureLatency(t *testing.T, r rival) string {
	var mu sync.Mutex
	var all []time.Duration
	begin := time.Now()
	audience(t, r, func(p []byte) {
		now := time.Since(begin)
		if len(p) < published {
			return // the rest of one
		}
		sent := time.Duration(binary.BigEndian.Uint64(p[published-payload:]))
		mu.Lock()
		all = append(all, now-sent)
		mu.Unlock()
	})
	pub, _ := login(t, r.addr, 4, "pub")
	cpu := r.processorTime(t)
	const count = 80
	for range count {
		m := msg(0, "f", string(binary.BigEndian.AppendUint64(nil, uint64(time.Since(begin))))+strings.Repeat("x", payload-8))
		pub.send(packets.Publish, m)
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	used := r.processorTime(t) - cpu
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(all)
	return fmt.Sprintf("p50 %6.2f ms, p99 %6.2f ms, %d of %d deliveries, %5.2f µs of processor time each",
		all[len(all)/2].Seconds()*1e3, all[len(all)*99/100].Seconds()*1e3, len(all), count*readers, used.Seconds()*1e6/float64(len(all)))
}

func measureIdle(t *testing.T, r rival) string {
	const clients = 5000
	time.Sleep(time.Second)
	empty := r.resident(t)
	for i := range clients {
		login(t, r.addr, 4, fmt.Sprint("idle", i), keepAlive(600))
	}
	time.Sleep(10 * time.Second)
	return fmt.Sprintf("%5.2f KB resident for each of %d clients, beyond %.1f MB", float64(r.resident(t)-empty)/clients/1e3, clients, float64(empty)/1e6)
}

func measureComeBack(t *testing.T, r rival) string {
	const clients = 2000
	id := func(i int) string { return fmt.Sprint("back", i) }
	for i := range clients {
		p, _ := login(t, r.addr, 5, id(i), keeps(600))
		p.subscribe(1, id(i))
		require.NoError(t, p.Close())
	}
	time.Sleep(time.Second)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	var present atomic.Int32
	ready.Add(clients)
	for i := range clients {
		done.Go(func() {
			ready.Done()
			<-start
			if _, ack := login(t, r.addr, 5, id(i), keeps(600)); ack.SessionPresent {
				present.Add(1)
			}
		})
	}
	ready.Wait()
	begin, cpu := time.Now(), r.processorTime(t)
	close(start)
	done.Wait()
	return fmt.Sprintf("%4d ms until the last CONNACK, %4d ms of processor time, %d sessions present",
		time.Since(begin).Milliseconds(), (r.processorTime(t) - cpu).Milliseconds(), present.Load())
}

func measureExpire(t *testing.T, r rival) string {
	const clients, seconds = 10_000, 5
	watch, _ := login(t, r.addr, 5, "watch")
	watch.subscribe(0, "w")
	var all []*peer
	for i := range clients {
		// Both end the wait for the will; only one of them does with mosquitto.
		p, _ := login(t, r.addr, 5, fmt.Sprint("gone", i), keeps(seconds), will("w", seconds))
		all = append(all, p)
	}
	begin := time.Now()
	for _, p := range all {
		_ = p.Close()
	}
	closed := time.Now()
	cpu := r.processorTime(t)
	require.NoError(t, watch.SetDeadline(time.Now().Add(30*time.Second)))
	first, last, n := time.Duration(0), time.Duration(0), 0
	for ; n < clients; n++ {
		if _, err := watch.read(); err != nil {
			break
		}
		if last = time.Since(begin); n == 0 {
			first = last
		}
	}
	return fmt.Sprintf("%d of %d wills between %.2f and %.2f s after the first left; the last left after %.2f s; %d ms of processor time",
		n, clients, first.Seconds(), last.Seconds(), closed.Sub(begin).Seconds(), (r.processorTime(t) - cpu).Milliseconds())
}

func measureTakeover(t *testing.T, r rival) string {
	var all []time.Duration
	pub, _ := login(t, r.addr, 4, "pub")
	for range 30 {
		p, _ := login(t, r.addr, 5, "deaf")
		require.NoError(t, p.Conn.(*net.TCPConn).SetReadBuffer(4096))
		p.subscribe(0, "d")
		for range 20 { // more than its sockets buffer
			pub.send(packets.Publish, msg(0, "d", strings.Repeat("x", 500<<10)))
		}
		pub.ping()
		begin := time.Now()
		q := connect(t, r.addr, 5, "deaf")
		require.NoError(t, q.SetDeadline(begin.Add(5*time.Second)))
		if _, err := q.read(); err != nil {
			return fmt.Sprintf("no CONNACK within 5 s, after %d takeovers", len(all))
		}
		all = append(all, time.Since(begin))
		_ = p.Close()
		_ = q.Close()
	}
	slices.Sort(all)
	return fmt.Sprintf("median %.2f ms, most %.2f ms", all[len(all)/2].Seconds()*1e3, all[len(all)-1].Seconds()*1e3)
}
