package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

const (
	maxStats    = 4 << 20 // bytes of an answer of api/stats
	maxSessions = 1 << 20 // bytes of an answer of api/sessions
	maxRefusal  = 4 << 10 // bytes read of an answer that is an error

	// answerTimeout is how long one answer may take as a whole.
	answerTimeout = 5 * time.Second
)

// query selects what the server is asked for beside its statistics.
type query struct {
	open   bool   // the open sessions, as the fields below say
	closed bool   // the sessions that closed last
	sort   string // one of Columns
	desc   bool
	filter string // an ID, or part of an address; "" matches all
	offset int
	limit  int // 0: no sessions at all
}

// server asks one dashboard. Its methods may be called from any goroutine.
type server struct {
	base   *url.URL
	token  string // "" for none
	client *http.Client
}

func newServer(base *url.URL, token string) *server {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes = 64 << 10
	t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 2, 2
	return &server{base: base, token: token, client: &http.Client{Transport: t, Timeout: answerTimeout}}
}

// close ends the connections that are kept.
func (s *server) close() { s.client.CloseIdleConnections() }

// String is the URL without a password.
func (s *server) String() string { return printable(s.base.Redacted(), 100) }

func (s *server) stats(ctx context.Context) (*stats, error) {
	body, err := s.get(ctx, "api/stats", nil, maxStats)
	if err != nil {
		return nil, err
	}
	return parseStats(body)
}

func (s *server) sessions(ctx context.Context, q query) (*sessionPage, error) {
	order := "asc"
	if q.desc {
		order = "desc"
	}
	body, err := s.get(ctx, "api/sessions", url.Values{
		"q": {q.filter}, "sort": {q.sort}, "order": {order},
		"offset": {strconv.Itoa(q.offset)}, "limit": {strconv.Itoa(q.limit)},
	}, maxSessions)
	if err != nil {
		return nil, err
	}
	return parseSessions(body, q.limit)
}

func (s *server) closed(ctx context.Context) (*closedList, error) {
	body, err := s.get(ctx, "api/closed", nil, maxSessions)
	if err != nil {
		return nil, err
	}
	return parseClosed(body)
}

// refusalError is what a dashboard says it will not answer, safe to show.
type refusalError struct{ status, text string }

func (e refusalError) Error() string { return e.status + ": " + e.text }

// get returns the body of an answer of 200, of at most limit bytes.
func (s *server) get(ctx context.Context, path string, values url.Values, limit int64) ([]byte, error) {
	u := s.base.JoinPath(path)
	u.RawQuery = values.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the answer is longer than %d bytes", limit)
	}
	return body, nil
}

// refusal tells a dashboard's own error from that of any other server.
func refusal(resp *http.Response) error {
	var said struct {
		Error string `json:"error"`
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what arrived is judged
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		return fmt.Errorf("%w: it says %s", errForeign, printable(resp.Status, 60))
	}
	return refusalError{printable(resp.Status, 60), printable(said.Error, 200)}
}

// cause is why an answer did not come, in a phrase that is safe to show.
func cause(err error) string {
	var op *net.OpError
	var web *url.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &op):
		err = op.Err
		var call *os.SyscallError
		if errors.As(err, &call) {
			err = call.Err
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the answer ended early"
	case errors.As(err, &web):
		err = web.Err
	}
	return printable(err.Error(), 200)
}
