package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

func TestRoom_ReceivesItsOwnMessagesOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	ann := dial(t, s.addr, "lobby", "ann", nil)
	ann.want(event{Kind: "joined", Name: "ann", Here: 1})
	zoe := dial(t, s.addr, "attic", "zoë_1", nil)
	zoe.want(event{Kind: "joined", Name: "zoë_1", Here: 1})
	bob := dial(t, s.addr, "lobby", "bob", nil)
	bob.want(event{Kind: "joined", Name: "bob", Here: 2})
	ann.want(event{Kind: "joined", Name: "bob", Here: 2})

	said := event{Kind: "said", Name: "ann", Text: `<b>"hello"</b> & 你好`, Here: 2}
	ann.say("  \n ") // says nothing
	ann.say(said.Text + "\n")
	ann.want(said)
	bob.want(said)

	require.NoError(t, bob.ws.Close(websocket.StatusNormalClosure, ""))
	ann.want(event{Kind: "left", Name: "bob", Text: "Left", Here: 1})
	zoe.say("alone")
	zoe.want(event{Kind: "said", Name: "zoë_1", Text: "alone", Here: 1})
}

func TestConnection_ThatBreaksLeavesWithEOF(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	ann := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	bob := dial(t, s.addr, "lobby", "bob", nil).joined("bob")
	ann.want(event{Kind: "joined", Name: "bob", Here: 2})
	require.NoError(t, bob.ws.CloseNow())
	ann.want(event{Kind: "left", Name: "bob", Text: "EOF", Here: 1})
}

func TestLogin_ReplacesAnEarlierOne(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	first := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	bob := dial(t, s.addr, "lobby", "bob", nil).joined("bob")
	second := dial(t, s.addr, "attic", "ann", nil)
	second.want(event{Kind: "joined", Name: "ann", Here: 1})
	require.Equal(t, closed(websocket.StatusPolicyViolation, "Replaced"), first.ending())
	bob.want(event{Kind: "left", Name: "ann", Text: "Replaced", Here: 1})
	second.say("here now")
	second.want(event{Kind: "said", Name: "ann", Text: "here now", Here: 1})
}

// A takeover may find the old session before its own Bind has returned.
func TestLogin_OneOfManyAtOnceStays(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	var endings sync.Map
	var clients sync.WaitGroup
	const logins = 40
	for range logins {
		clients.Go(func() {
			ws, _, err := websocket.Dial(t.Context(), chatURL(s.addr, "lobby", "ann"), nil)
			for err == nil {
				_, _, err = ws.Read(t.Context())
			}
			n, _ := endings.LoadOrStore(err.Error()[max(0, strings.LastIndex(err.Error(), "status")):], new(atomic.Int32))
			n.(*atomic.Int32).Add(1)
		})
	}
	require.Eventually(t, func() bool { return s.Stats().ByReason[pool.Replaced] == logins-1 }, patience, 5*time.Millisecond)
	require.Equal(t, 1, s.Stats().Sessions)
	require.Eventually(t, func() bool { // the last one may not have joined yet
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.rooms["lobby"] != nil && s.rooms["lobby"].Len() == 1
	}, patience, 5*time.Millisecond)
	bob := dial(t, s.addr, "lobby", "bob", nil)
	e := bob.next()
	for e.Name != "bob" {
		e = bob.next()
	}
	require.Equal(t, event{Kind: "joined", Name: "bob", Here: 2}, e)
	require.NoError(t, s.stop())
	clients.Wait()
	require.Zero(t, s.Stats().Sessions)
	counts := make(map[string]int32)
	for ending, n := range endings.Range {
		counts[ending.(string)] = n.(*atomic.Int32).Load()
	}
	require.Equal(t, map[string]int32{
		`status = StatusPolicyViolation and reason = "Replaced"`: logins - 1,
		`status = StatusGoingAway and reason = "Shutdown"`:       1,
	}, counts)
}

func TestPing_KeepsASilentPeerThatAnswers(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second // half of it is left to answer a ping
	s := serve(t, timeout)
	pings := make(chan time.Time, 100)
	ann := dial(t, s.addr, "lobby", "ann", &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool {
			pings <- time.Now()
			return true
		},
	}).joined("ann")
	reading := make(chan error)
	go func() {
		_, _, err := ann.ws.Read(context.Background())
		reading <- err
	}()
	start := s.named(t, "ann").RegisteredAt()
	for ping := start; ping.Sub(start) < 2*timeout; {
		select {
		case ping = <-pings:
		case <-time.After(patience):
			require.FailNow(t, "no ping")
		}
	}
	require.Empty(t, s.named(t, "ann").Reason())
	require.NoError(t, s.stop())
	require.ErrorAs(t, <-reading, new(websocket.CloseError))
}

// deaf is a client's handler of pings that does not answer them.
func deaf(context.Context, []byte) bool { return false }

func TestPing_WithoutAnswerTimesOut(t *testing.T) {
	t.Parallel()
	s := serve(t, 10*time.Second)
	var pings atomic.Int32
	ann := dial(t, s.addr, "lobby", "ann", &websocket.DialOptions{
		OnPingReceived: func(ctx context.Context, b []byte) bool {
			pings.Add(1)
			return deaf(ctx, b)
		},
	})
	require.Equal(t, closed(websocket.StatusPolicyViolation, "Timeout"), ann.ending())
	require.EqualValues(t, 1, pings.Load())
	require.EqualValues(t, 1, s.Stats().ByReason[pool.Timeout])
}

// It neither reads nor closes its side, and the server waits for it with the connection alone.
func TestPeer_ThatIsGoneDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, func(c *chat) { c.LingerTimeout = time.Hour })
	conn := upgraded(t, s.addr, "") // reads nothing and answers nothing
	ann := s.named(t, "ann")
	s.SetIdleTimeout(200 * time.Millisecond)
	select {
	case <-ann.Done():
	case <-time.After(patience):
		require.FailNow(t, "the session waits for its peer")
	}
	require.Equal(t, pool.Timeout, ann.Reason())
	_, err := io.Copy(io.Discard, conn) // the server has closed its side, and waits for the peer's
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestPeer_ThatReadsSlowlyIsClosedAndDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, func(c *chat) { c.WriteTimeout = time.Hour })
	dial(t, s.addr, "lobby", "slow", nil) // does not read
	sleeper := s.named(t, "slow")
	ann := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	text := strings.Repeat("x", maxMessage)
	for n := 0; sleeper.Reason() == ""; n++ {
		require.Less(t, n, 5000, "more than a socket takes")
		ann.say(text)
		for ann.next().Kind != "said" {
			continue
		}
	}
	require.Equal(t, tcp.ReasonSlow, sleeper.Reason())
	<-sleeper.Done()
	ann.say("alone")
	e := ann.next()
	for e.Text != "alone" {
		e = ann.next()
	}
	require.Equal(t, 1, e.Here)
}

// Sending to a peer is not activity.
func TestPeer_ThatIsGoneTimesOutInABusyRoom(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	bob := dial(t, s.addr, "lobby", "bob", &websocket.DialOptions{OnPingReceived: deaf})
	ann := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	s.named(t, "bob").SetIdleTimeout(time.Second) // now that ann can see bob leave
	ending := make(chan error)
	go func() {
		var err error
		for err == nil {
			_, _, err = bob.ws.Read(context.Background())
		}
		ending <- err
	}()
	for start := time.Now(); ; {
		require.Less(t, time.Since(start), patience)
		ann.say("busy")
		if e := ann.next(); e.Kind == "left" {
			require.Equal(t, event{Kind: "left", Name: "bob", Text: "Timeout", Here: 1}, e)
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(<-ending))
}

func TestMessage_ThatCannotBeWrittenInTimeClosesAsSlow(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, func(c *chat) { c.WriteTimeout, c.MaxOutbound = 200*time.Millisecond, 64<<20 })
	dial(t, s.addr, "lobby", "ann", nil) // does not read
	ann := s.named(t, "ann")
	require.NoError(t, ann.Post(make([]byte, 32<<20))) // more than the sockets take
	select {
	case <-ann.Done():
	case <-time.After(patience):
		require.FailNow(t, "the write goes on")
	}
	require.EqualValues(t, "Slow", ann.Reason())
}

func TestMessage_IsLimitedAndMustBeText(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	for _, tt := range []struct {
		name    string
		kind    websocket.MessageType
		message string
		want    websocket.CloseError
	}{
		{"large", websocket.MessageText, strings.Repeat("x", maxMessage+1), closed(websocket.StatusMessageTooBig, "TooLarge")},
		{"huge", websocket.MessageText, strings.Repeat("x", 64<<10), closed(websocket.StatusMessageTooBig, "TooLarge")},
		{"binary", websocket.MessageBinary, "x", closed(websocket.StatusUnsupportedData, "NotText")},
		{"invalid", websocket.MessageText, "x\xff", closed(websocket.StatusUnsupportedData, "NotText")},
	} {
		c := dial(t, s.addr, "room-"+tt.name, tt.name, nil).joined(tt.name)
		most := strings.Repeat("x", maxMessage)
		c.say(most)
		c.want(event{Kind: "said", Name: tt.name, Text: most, Here: 1})
		require.NoError(t, c.ws.Write(t.Context(), tt.kind, []byte(tt.message)), tt.name)
		require.Equal(t, tt.want, c.ending(), tt.name)
	}
}

func TestName_MustBeShortAndPlain(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	long := strings.Repeat("é", 21)
	for _, tt := range []struct{ room, name string }{
		{"lobby", ""},
		{"", "ann"},
		{"lobby", long},
		{long, "ann"},
		{"lobby", "a b"},
		{"lobby", "<b>"},
		{"lobby", "ann\n"},
		{"lobby", "a\x00"},
		{"lobby", "\xff"},
		{"../x", "ann"},
		{"lobby", "a\u202eb"},
		{"lobby", "👻"},
	} {
		_, answer, err := websocket.Dial(t.Context(), chatURL(s.addr, tt.room, tt.name), nil)
		require.Error(t, err, "%q", tt)
		require.Equal(t, http.StatusBadRequest, answer.StatusCode, "%q", tt)
		says, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Contains(t, string(says), "each must be 1 to 20 letters, digits, - or _")
	}
	for session := range s.Sessions() {
		require.Empty(t, session.BoundID())
	}
	dial(t, s.addr, "lobby", strings.Repeat("é", 20), nil)
}

func TestOrigin_OfAnotherPageIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	for origin, want := range map[string]int{
		"http://evil.example": http.StatusForbidden,
		"http://" + s.addr:    http.StatusSwitchingProtocols,
	} {
		ws, answer, err := websocket.Dial(t.Context(), chatURL(s.addr, "lobby", "ann"), &websocket.DialOptions{
			HTTPHeader: http.Header{"Origin": {origin}},
		})
		require.Equal(t, want, answer.StatusCode, origin)
		if err == nil {
			require.NoError(t, ws.CloseNow())
		}
	}
}

func TestChat_ThatIsFullSaysSo(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, func(c *chat) { c.MaxSessions = 1 + spare })
	ann := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	require.Equal(t, closed(websocket.StatusTryAgainLater, "Full"), dial(t, s.addr, "lobby", "bob", nil).ending())
	ann.say("alone")
	ann.want(event{Kind: "said", Name: "ann", Text: "alone", Here: 1})
}

func TestShutdown_TellsAllPeers(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	var clients []*client
	for i := range 20 {
		name := fmt.Sprint("c", i)
		clients = append(clients, dial(t, s.addr, "lobby", name, nil).joined(name))
	}
	require.NoError(t, s.stop())
	for _, c := range clients {
		require.Equal(t, closed(websocket.StatusGoingAway, "Shutdown"), c.ending())
	}
	_, err := net.Dial("tcp", s.addr)
	require.Error(t, err)
}

// pong is an empty pong frame, masked.
const pong = "\x8a\x80\x00\x00\x00\x00"

// upgraded returns a plain connection that has requested to join the lobby as ann and
// then sent more data.
func upgraded(t *testing.T, addr, more string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = conn.Write([]byte("GET /chat?room=lobby&name=ann HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + more))
	require.NoError(t, err)
	return conn
}

// The server still reads from it, to bring it the close frame.
func TestPong_OfAReplacedPeerKeepsNoSession(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	conn := upgraded(t, s.addr, "")
	defer conn.Close()
	old := s.named(t, "ann")
	dial(t, s.addr, "lobby", "ann", nil) // reads nothing, so it does not answer pings
	require.Eventually(t, func() bool { return old.Reason() == pool.Replaced }, patience, 5*time.Millisecond)
	_, _ = conn.Write([]byte(strings.Repeat(pong, 10))) // fails if the server has closed it
	said, _ := io.ReadAll(conn)                         // until it is
	require.True(t, strings.HasSuffix(string(said), "\x88\x0a\x03\xf0Replaced"), "%q", said)
	require.EqualValues(t, "Replaced", old.Reason())
	require.Empty(t, s.named(t, "ann").Reason())
}

// masked is a frame with a mask that changes nothing.
func masked(first byte, text string) string {
	return string([]byte{first, 0x80 | byte(len(text)), 0, 0, 0, 0}) + text
}

func TestMessage_MayComeInPartsWithAPingBetween(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	bob := dial(t, s.addr, "lobby", "bob", nil).joined("bob")
	conn := upgraded(t, s.addr, masked(0x01, "h\xc3")+masked(0x89, "?")+masked(0x00, "\xa9")+masked(0x80, "!"))
	defer conn.Close()
	bob.want(event{Kind: "joined", Name: "ann", Here: 2})
	bob.want(event{Kind: "said", Name: "ann", Text: "hé!", Here: 2})
	_, err := conn.Write([]byte(masked(0x88, "")))
	require.NoError(t, err)
	said, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(said), "\x8a\x01?", "a pong")
	require.True(t, strings.HasSuffix(string(said), "\x88\x06\x03\xe8Left"), "%q", said)
}

func TestFrame_ThatBreaksTheProtocolEndsItsSessionAndSaysSo(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	for name, tt := range map[string]struct{ frames, ending string }{
		"without a mask":         {"\x81\x01x", "\x88\x0a\x03\xeaBadFrame"},
		"a part of nothing":      {masked(0x80, "x"), "\x88\x0a\x03\xeaBadFrame"},
		"a message within one":   {masked(0x01, "x") + masked(0x81, "x"), "\x88\x0a\x03\xeaBadFrame"},
		"an endless length":      {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", "\x88\x0a\x03\xf1TooLarge"},
		"a negative length":      {"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", "\x88\x0a\x03\xeaBadFrame"},
		"parts without an end":   {strings.Repeat(masked(0x01, "")+strings.Repeat(masked(0x00, strings.Repeat("x", 100)), 41), 1), "\x88\x0a\x03\xf1TooLarge"},
		"a ping that is too big": {"\x89\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("x", 126), "\x88\x0a\x03\xeaBadFrame"},
	} {
		conn := upgraded(t, s.addr, tt.frames)
		said, err := io.ReadAll(conn)
		require.NoError(t, err, name)
		require.True(t, strings.HasSuffix(string(said), tt.ending), "%s: %q", name, said)
		require.NoError(t, conn.Close())
	}
}

func TestRequest_IsAnsweredAndTheConnectionClosed(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	for request, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: x":              http.StatusOK,
		"GET /page.js?x=1 HTTP/1.0":              http.StatusOK,
		"GET /../chat.go HTTP/1.1\r\nHost: x":    http.StatusNotFound,
		"GET /%2e%2e/main.go HTTP/1.0":           http.StatusNotFound,
		"GET http://x HTTP/1.0":                  http.StatusOK,
		"POST / HTTP/1.1\r\nHost: x":             http.StatusBadRequest,
		"OPTIONS * HTTP/1.0":                     http.StatusBadRequest,
		"hello":                                  http.StatusBadRequest,
		"GET /chat?room=a&name=b HTTP/1.1":       http.StatusBadRequest,
		"GET /chat?room=a&name=b HTTP/1.1\r\na:": http.StatusBadRequest,
	} {
		conn, err := net.Dial("tcp", s.addr)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = io.WriteString(conn, request+"\r\n\r\n")
		require.NoError(t, err)
		reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, request)
		require.Equal(t, want, reply.StatusCode, request)
		_, err = io.ReadAll(reply.Body)
		require.NoError(t, err, request)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, request)
		require.NoError(t, conn.Close())
	}
}

func TestRooms_AreForgottenWhenTheyAreEmpty(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	for i := range 5 {
		c := dial(t, s.addr, fmt.Sprint("room", i), "ann", nil).joined("ann")
		require.NoError(t, c.ws.Close(websocket.StatusNormalClosure, ""))
	}
	require.Eventually(t, func() bool { return s.Stats().Sessions == 0 }, patience, 5*time.Millisecond)
	dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.rooms, 1)
}

func TestCloseCodes_MayBeSent(t *testing.T) {
	for r, code := range closeCodes {
		require.Contains(t, []ws.StatusCode{1000, 1001, 1002, 1003, 1009, 1013}, code, r)
	}
}
