package frame_test

import (
	"fmt"
	"io"
	"math"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/frame"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestServer_AnswersInTheFramingItReads(t *testing.T) {
	for _, f := range []framing{
		frame.LengthPrefix{Size: 4, Strip: 4},
		frame.Varint{},
		frame.Delimiter{End: "\r\n"},
		frame.Fixed{Size: 5},
		frame.Marks{Begin: "\x0b", End: "\x1c\r"},
	} {
		t.Run(fmt.Sprintf("%T", f), func(t *testing.T) {
			srv := &tcp.Server{Split: f.Split, OnMessage: func(s *tcp.Session, body []byte) {
				if reply, err := f.Append(nil, body); err == nil {
					_ = s.Send(reply)
				}
			}}
			c := harness.ListenTCP(t, srv)()
			var sent []byte
			for _, body := range []string{"hello", "world"} {
				var err error
				sent, err = f.Append(sent, []byte(body))
				require.NoError(t, err)
			}
			harness.Write(t, c, string(sent))
			harness.Read(t, c, string(sent))
		})
	}
}

// ended tells how the session of conn ended.
type ended struct {
	reasons chan pool.Reason
	errs    chan error
	conn    net.Conn
}

// serve starts the server and connects to it.
func serve(t *testing.T, srv *tcp.Server) ended {
	e := ended{reasons: make(chan pool.Reason, 1), errs: make(chan error, 1)}
	srv.OnError = func(_ *tcp.Session, err error) { e.errs <- err }
	srv.OnSessionClosed = func(_ *tcp.Session, r pool.Reason) { e.reasons <- r }
	e.conn = harness.ListenTCP(t, srv)()
	return e
}

func TestServer_WaitsForNoMoreOfAHostileFrameThanItsMaxFrame(t *testing.T) {
	for _, f := range []framing{
		frame.LengthPrefix{Size: 8},
		frame.Varint{},
		frame.Delimiter{End: "\n"},
		frame.Marks{Begin: "\x00", End: "\n"},
		frame.Fixed{Size: math.MaxInt32},
	} {
		t.Run(fmt.Sprintf("%T", f), func(t *testing.T) {
			const maxFrame = 1000
			e := serve(t, &tcp.Server{Split: f.Split, MaxFrame: maxFrame})
			begin := "\x00\x00\x00\x00\x70\x00\x00\x00" // 1.9 GB
			if _, ok := f.(frame.Varint); ok {
				begin = "\x80\x80\x80\x80\x07"
			}
			harness.Write(t, e.conn, begin+string(repeated(maxFrame-len(begin))))
			require.Equal(t, tcp.ReasonTooLarge, harness.Next(t, e.reasons))
			require.ErrorIs(t, harness.Next(t, e.errs), tcp.ErrTooLarge)
		})
	}
}

func TestServer_WithAMaxOfTheFramingNeedsTheLengthAlone(t *testing.T) {
	for _, tt := range []struct {
		framing framing
		begin   string
	}{
		{frame.LengthPrefix{Size: 4, Max: 1000}, "\x00\x00\x03\xe5"},
		{frame.Varint{Max: 1000}, "\xe7\x07"},
	} {
		t.Run(fmt.Sprintf("%T", tt.framing), func(t *testing.T) {
			e := serve(t, &tcp.Server{Split: tt.framing.Split, MaxFrame: 1000})
			harness.Write(t, e.conn, tt.begin)
			require.Equal(t, tcp.ReasonTooLarge, harness.Next(t, e.reasons))
			err := harness.Next(t, e.errs)
			require.ErrorIs(t, err, frame.ErrTooLarge)
			require.ErrorIs(t, err, tcp.ErrTooLarge)
			_, err = e.conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		})
	}
}
