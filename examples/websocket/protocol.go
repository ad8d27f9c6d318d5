package main

import (
	"bufio"
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/sessionwheel/sessionwheel/frame"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

const (
	maxRequest = 16 << 10 // bytes
	maxMessage = 4096     // bytes
	policy     = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'"
)

var (
	splitRequest = frame.Delimiter{End: "\r\n\r\n"}.Split
	validName    = regexp.MustCompile(`^[\p{L}\p{Nd}_-]{1,20}$`)
)

//go:embed index.html page.css page.js
var page embed.FS

// handle handles the frame of a WebSocket, or an HTTP request: GET /chat?room=...&name=...,
// which makes the session a WebSocket, or a file of the page.
func (c *chat) handle(s *tcp.Session, frame []byte) {
	if p, upgraded := s.Value().(*peer); upgraded {
		p.receive(s, frame)
		return
	}
	head := append(frame, "\r\n\r\n"...) // a copy: splitRequest leaves frame no room
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	switch {
	case err != nil || r.Method != http.MethodGet:
		reply(s, http.StatusBadRequest, ".txt", "not a GET request")
	case r.URL.Path == "/chat":
		c.upgrade(s, r, bytes.NewBuffer(head))
	default:
		name := cmp.Or(path.Clean(r.URL.Path)[1:], "index.html")
		if file, err := page.ReadFile(name); err == nil {
			reply(s, http.StatusOK, path.Ext(name), string(file))
		} else {
			reply(s, http.StatusNotFound, ".txt", "not found")
		}
	}
}

// upgrade makes a session a WebSocket: its next frames are cut by another function.
func (c *chat) upgrade(s *tcp.Session, r *http.Request, conn *bytes.Buffer) {
	name, room := r.FormValue("name"), r.FormValue("room")
	origin, err := url.Parse(r.Header.Get("Origin"))
	switch {
	case !validName.MatchString(name) || !validName.MatchString(room):
		reply(s, http.StatusBadRequest, ".txt", fmt.Sprintf("name %.80q, room %.80q: each must be 1 to 20 letters, digits, - or _", name, room))
		return
	case err != nil, origin.Host != r.Host && r.Header.Get("Origin") != "":
		reply(s, http.StatusForbidden, ".txt", "another site's page")
		return
	}
	if _, err = ws.Upgrade(conn); err != nil { // reads the request from conn, and writes the response to it
		reply(s, http.StatusBadRequest, ".txt", err.Error())
		return
	}
	_ = s.Post(conn.Bytes()) // if it fails, the session is closed
	s.SetSplit(splitFrame)
	c.join(s, name, room)
}

// reply responds to a request and closes the session behind the response.
func reply(s *tcp.Session, code int, ext, body string) {
	const response = "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\nContent-Security-Policy: %s\r\n\r\n%s"
	_ = s.Post(fmt.Appendf(nil, response, code, http.StatusText(code), mime.TypeByExtension(ext), len(body), policy, body))
	s.Finish("Served")
}

// peer is the value of a session that is a WebSocket, for the session's callbacks.
type peer struct {
	room  *tcp.Group // nil until the user has joined it
	state ws.State
	text  []byte // the parts of a fragmented message
}

// splitFrame is the bufio.SplitFunc of WebSockets.
func splitFrame(data []byte, _ bool) (int, []byte, error) {
	r := bytes.NewReader(data)
	h, err := ws.ReadHeader(r)
	size := len(data) - r.Len() + int(h.Length)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, nil, nil
	case err == nil && h.Length > maxMessage:
		return 0, nil, bufio.ErrTooLong
	case err != nil, size > len(data):
		return 0, nil, err
	}
	return size, data[:size], nil
}

// receive handles a frame. Each is activity, so there is nothing to do for a pong.
func (p *peer) receive(s *tcp.Session, frame []byte) {
	f := ws.MustReadFrame(bytes.NewReader(frame)) // splitFrame has read its header already
	ws.Cipher(f.Payload, f.Header.Mask, 0)
	switch err := ws.CheckHeader(f.Header, p.state); {
	case err != nil:
		s.Close(tcp.ReasonBadFrame)
	case f.Header.OpCode == ws.OpPing:
		_ = s.Post(ws.MustCompileFrame(ws.NewPongFrame(f.Payload))) // if it fails, the session is closed
	case f.Header.OpCode == ws.OpClose:
		s.Close("Left")
	case f.Header.OpCode == ws.OpBinary:
		s.Close("NotText")
	case f.Header.OpCode == ws.OpText, f.Header.OpCode == ws.OpContinuation:
		p.hear(s, f.Payload, f.Header.Fin)
	}
}

// hear handles part of a message, and tells the room when it is whole.
func (p *peer) hear(s *tcp.Session, part []byte, whole bool) {
	p.text, p.state = append(p.text, part...), p.state.Set(ws.StateFragmented)
	said := bytes.TrimSpace(p.text)
	switch {
	case len(p.text) > maxMessage:
		s.Close(tcp.ReasonTooLarge)
	case !whole:
		return
	case !utf8.Valid(p.text):
		s.Close("NotText")
	case len(said) > 0:
		p.tell(s, "said", string(said))
	}
	p.text, p.state = nil, ws.StateServerSide
}

// ping asks a silent peer for a pong.
func ping(s *tcp.Session) {
	if _, upgraded := s.Value().(*peer); upgraded {
		_ = s.Post(ws.CompiledPing) // if it fails, the session is closed
	}
}

// farewell returns the close frame that tells a peer why the server ends its session.
func farewell(s *tcp.Session, r pool.Reason) []byte {
	if _, upgraded := s.Value().(*peer); !upgraded {
		return nil
	}
	code := cmp.Or(closeCodes[r], ws.StatusPolicyViolation)
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, string(r))))
}

// closeCodes maps reasons to status codes. All other reasons are policy violations.
var closeCodes = map[pool.Reason]ws.StatusCode{
	"Left":             ws.StatusNormalClosure,
	"NotText":          ws.StatusUnsupportedData, // not a text message, or not UTF-8
	"Full":             1013,                     // try again later
	pool.Shutdown:      ws.StatusGoingAway,
	tcp.ReasonBadFrame: ws.StatusProtocolError,
	tcp.ReasonTooLarge: ws.StatusMessageTooBig, // more than maxMessage
}
