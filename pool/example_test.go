package pool_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// A server that answers each line, and closes a session that has been silent for too
// long.
func Example() {
	closed := make(chan pool.Reason)
	sessions, err := pool.New(pool.Config[int64, net.Conn]{
		IdleTimeout: time.Second,
		MaxSessions: 10_000,
		OnSessionClosed: func(s *pool.Session[int64, net.Conn], r pool.Reason) {
			closed <- r
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	var lastID atomic.Int64
	serve := func(conn net.Conn) {
		s, err := sessions.Register(lastID.Add(1), conn)
		if err != nil {
			conn.Close() // Register failed, so the connection must be closed here
			return
		}
		lines := bufio.NewScanner(conn)
		for lines.Scan() && s.Touch() {
			fmt.Fprintf(conn, "you said %s\n", lines.Text())
		}
		s.Close("EOF") // does nothing if the session has timed out
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()

	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	fmt.Fprintln(peer, "hello")
	answer, _ := bufio.NewReader(peer).ReadString('\n')
	fmt.Print(answer)
	fmt.Println(<-closed) // the peer sends nothing more

	ln.Close()
	fmt.Println(sessions.Shutdown(context.Background()))
	// Output:
	// you said hello
	// Timeout
	// <nil>
}

// An alias for the sessions of a server spares its functions and callbacks the
// type arguments.
func Example_alias() {
	type session = pool.Session[string, net.Conn]

	greet := func(s *session) { fmt.Println("hello,", s.ID()) }
	part := func(s *session, r pool.Reason) { fmt.Println(s.ID(), "has left:", r) }

	sessions, err := pool.New(pool.Config[string, net.Conn]{
		OnNewSessionRegister: greet,
		OnSessionClosed:      part,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, peer := net.Pipe()
	defer peer.Close()
	s, err := sessions.Register("ann", conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Close("quit")
	fmt.Println(sessions.Shutdown(context.Background()))
	// Output:
	// hello, ann
	// ann has left: quit
	// <nil>
}

// A request may take longer than the idle timeout.
func ExampleSession_Hold() {
	sessions, err := pool.New(pool.Config[string, net.Conn]{IdleTimeout: 500 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sessions.Shutdown(context.Background())

	conn, peer := net.Pipe()
	defer peer.Close()
	s, err := sessions.Register("gopher", conn)
	if err != nil {
		fmt.Println(err)
		return
	}

	release := s.Hold()
	time.Sleep(time.Second) // handles the request
	fmt.Printf("while held: %q\n", s.Reason())
	release()

	<-s.Done() // after the idle timeout
	fmt.Printf("afterwards: %q\n", s.Reason())
	// Output:
	// while held: ""
	// afterwards: "Timeout"
}

// Sessions can be closed by their ID, or in a loop.
func ExamplePool_All() {
	sessions, err := pool.New(pool.Config[string, net.Conn]{
		OnSessionClosed: func(s *pool.Session[string, net.Conn], r pool.Reason) {
			fmt.Println(s.ID(), "closed:", r)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range []string{"ann", "bob", "cid"} {
		conn, peer := net.Pipe()
		defer peer.Close()
		if _, err := sessions.Register(id, conn); err != nil {
			fmt.Println(err)
			return
		}
	}

	fmt.Println(sessions.CloseSession("ann", "kicked"))
	fmt.Println(sessions.CloseSession("ann", "kicked")) // the session has left the pool

	for _, s := range sessions.All() {
		if s.ID() != "cid" {
			s.Close("cleared out") // allowed during the iteration
		}
	}
	fmt.Println(sessions.Len(), "left")
	fmt.Println(sessions.Shutdown(context.Background()))
	// Output:
	// ann closed: kicked
	// true
	// false
	// bob closed: cleared out
	// 1 left
	// cid closed: Shutdown
	// <nil>
}

// The log has a line for each closed session, and Stats counts them by reason.
func ExampleConfig_logger() {
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "idle" || a.Key == "age" {
			return slog.Attr{}
		}
		return a
	}
	sessions, err := pool.New(pool.Config[string, net.Conn]{
		Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTime})),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, peer := net.Pipe()
	defer peer.Close()
	if _, err := sessions.Register("ann", conn); err != nil {
		fmt.Println(err)
		return
	}
	sessions.CloseSession("ann", "kicked")
	fmt.Println(sessions.Stats().ByReason)
	fmt.Println(sessions.Shutdown(context.Background()))
	// Output:
	// level=INFO msg="pool: session closed" session=ann remote=pipe reason=kicked
	// map[kicked:1]
	// <nil>
}

// A group is a room: what one session says, all members hear. Those that are closed have left
// it already.
func ExampleGroup() {
	sessions, err := pool.New(pool.Config[string, net.Conn]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var room pool.Group[string, net.Conn]
	for _, name := range []string{"ann", "bob", "cid"} {
		conn, peer := net.Pipe()
		defer peer.Close()
		s, err := sessions.Register(name, conn)
		if err != nil {
			fmt.Println(err)
			return
		}
		room.Add(s)
	}
	sessions.CloseSession("bob", "kicked")
	for s := range room.All() {
		if s.ID() == "ann" {
			s.Close("left") // a loop may close members
		}
	}
	for s := range room.All() {
		fmt.Println(s.ID(), "of", room.Len())
	}
	fmt.Println(sessions.Shutdown(context.Background()))
	// Output:
	// cid of 1
	// <nil>
}
