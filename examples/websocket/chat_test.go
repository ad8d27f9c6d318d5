package main

import (
	"context"
	"errors"
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
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
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

func TestConnection_ThatBreaksLeavesAsLost(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	ann := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	bob := dial(t, s.addr, "lobby", "bob", nil).joined("bob")
	ann.want(event{Kind: "joined", Name: "bob", Here: 2})
	require.NoError(t, bob.ws.CloseNow())
	ann.want(event{Kind: "left", Name: "bob", Text: "Lost", Here: 1})
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

// A takeover may find the old session before its own Register has returned.
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
			n, _ := endings.LoadOrStore(err.Error()[strings.LastIndex(err.Error(), "status"):], new(atomic.Int32))
			n.(*atomic.Int32).Add(1)
		})
	}
	require.Eventually(t, func() bool { return s.sessions.Stats().ByReason[pool.Replaced] == logins-1 }, patience, 5*time.Millisecond)
	require.Equal(t, 1, s.sessions.Len())
	bob := dial(t, s.addr, "lobby", "bob", nil)
	e := bob.next()
	for e.Name != "bob" {
		e = bob.next()
	}
	require.Equal(t, event{Kind: "joined", Name: "bob", Here: 2}, e)
	require.NoError(t, s.stop())
	clients.Wait()
	require.Zero(t, s.sessions.Len())
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
	const timeout = 4 * time.Second // half of it is left to answer a ping
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
	s := serve(t, 3*time.Second)
	var pings atomic.Int32
	ann := dial(t, s.addr, "lobby", "ann", &websocket.DialOptions{
		OnPingReceived: func(ctx context.Context, b []byte) bool {
			pings.Add(1)
			return deaf(ctx, b)
		},
	})
	require.Equal(t, closed(websocket.StatusPolicyViolation, "Timeout"), ann.ending())
	require.EqualValues(t, 1, pings.Load())
	require.EqualValues(t, 1, s.sessions.Stats().ByReason[pool.Timeout])
}

// The library's own Close waits for 5 seconds.
func TestPeer_ThatIsGoneDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := serve(t, 200*time.Millisecond, func(c *chat) { c.farewellTime = time.Hour })
	dial(t, s.addr, "lobby", "ann", nil) // reads nothing and answers nothing
	ann := s.named(t, "ann")
	<-ann.Done() // Close does not wait for an answer
	require.Equal(t, pool.Timeout, ann.Reason())
	require.Less(t, time.Since(ann.RegisteredAt()), 4*time.Second)

	s = serve(t, time.Minute)
	dial(t, s.addr, "lobby", "bob", nil)
	bob := s.named(t, "bob")
	start := time.Now()
	bob.Close("Kicked") // Close waits for an answer, but not for long
	require.Less(t, time.Since(start), 4*time.Second)
}

func TestPeer_ThatReadsSlowlyIsClosedAndDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, func(c *chat) { c.writeTimeout, c.farewellTime = time.Hour, time.Hour })
	reader := dial(t, s.addr, "lobby", "slow", nil) // does not read
	sleeper := s.named(t, "slow")
	require.NoError(t, sleeper.Conn().conn.(*net.TCPConn).SetWriteBuffer(4096)) // fills up soon
	ann := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
	text := strings.Repeat("x", maxMessage)
	for n := 0; sleeper.Reason() == ""; n++ {
		require.Less(t, n, 5000, "more than a socket takes")
		ann.say(text)
		for ann.next().Kind != "said" {
			continue
		}
	}
	require.EqualValues(t, "Slow", sleeper.Reason())
	ann.say("goes on")
	for e := ann.next(); e.Text != "goes on"; {
		e = ann.next()
	}
	select {
	case <-sleeper.Done(): // the library gives up its own farewell after 5 seconds
		require.FailNow(t, "the room was held up until the slow reader was closed")
	default:
	}
	require.NoError(t, reader.ws.CloseNow())
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
	s := serve(t, time.Second)
	bob := dial(t, s.addr, "lobby", "bob", &websocket.DialOptions{OnPingReceived: deaf})
	ann := dial(t, s.addr, "lobby", "ann", nil).joined("ann")
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
	s := serve(t, time.Minute, func(c *chat) { c.writeTimeout = 200 * time.Millisecond })
	dial(t, s.addr, "lobby", "ann", nil) // does not read
	ann := s.named(t, "ann")
	for range queueLength / 2 { // more than the sockets take, though not more than the queue
		send(ann, &event{Text: strings.Repeat("x", 1<<20)})
	}
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
	require.Zero(t, s.sessions.Stats().Registered)
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

func TestShutdown_TellsAllPeersAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	var clients []*client
	for i := range 20 {
		name := fmt.Sprint("c", i)
		clients = append(clients, dial(t, s.addr, "lobby", name, nil).joined(name))
	}
	shut := make(chan error)
	go func() { shut <- s.sessions.Shutdown(context.Background()) }()
	for _, c := range clients {
		require.Equal(t, closed(websocket.StatusGoingAway, "Shutdown"), c.ending())
	}
	require.NoError(t, <-shut)
	late := dial(t, s.addr, "lobby", "late", nil)
	require.Equal(t, closed(websocket.StatusGoingAway, "Shutdown"), late.ending())
	require.NoError(t, s.stop())
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

// Such a peer has no session; only farewell reads from it.
func TestPong_OfARefusedPeerIsHarmless(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	require.NoError(t, s.sessions.Shutdown(t.Context()))
	conn := upgraded(t, s.addr, pong)
	defer conn.Close()
	answer, err := io.ReadAll(conn) // until the server closes it
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(answer), "\x88\x0a\x03\xe9Shutdown"), "%q", answer)
}

// Its farewell still reads when another peer has the name.
func TestPong_OfAReplacedPeerKeepsNoSession(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute)
	conn := upgraded(t, s.addr, "")
	defer conn.Close()
	old := s.named(t, "ann")
	dial(t, s.addr, "lobby", "ann", nil) // reads nothing, so it does not answer pings
	require.Eventually(t, func() bool { return old.Reason() == pool.Replaced }, patience, 5*time.Millisecond)
	_, _ = conn.Write([]byte(strings.Repeat(pong, 10))) // fails if the server has closed it
	_, _ = io.Copy(io.Discard, conn)                    // until it is
	now := s.named(t, "ann")
	require.NotEqual(t, old, now)
	require.Equal(t, now.RegisteredAt(), now.LastActive())
}

func TestCloseCodes_MayBeSent(t *testing.T) {
	for r, code := range closeCodes {
		require.Contains(t, []websocket.StatusCode{1000, 1001, 1003, 1009, 1013}, code, r)
	}
	require.EqualValues(t, "Full", reasonOf(fmt.Errorf("x: %w", pool.ErrFull)))
	require.Contains(t, closeCodes, reasonOf(pool.ErrFull))
	require.EqualValues(t, "Lost", reasonOf(errors.New("x")))
}
