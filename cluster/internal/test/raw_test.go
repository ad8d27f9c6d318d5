package test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// last returns the last message of a subject of a stream, or "" if there is none or it is
// a marker.
func last(t *testing.T, nc *nats.Conn, stream, subject string) string {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	require.NoError(t, err)
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return ""
	}
	require.NoError(t, err)
	return string(m.Data)
}
