package test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// The broker does not answer a request that it denies.
func TestPermissions_ThatAreMissingAreNamed(t *testing.T) {
	t.Parallel()
	own := `["$KV.sessions_nodes.>", "$KV.sessions_dir.>", "sessions.node.>", "_INBOX.>", "$JS.FC.>",
		"$JS.API.*.*.KV_sessions_nodes", "$JS.API.*.*.KV_sessions_dir", "$JS.API.STREAM.NAMES",
		"$JS.API.*.*.*.KV_sessions_nodes", "$JS.API.*.*.*.KV_sessions_dir",
		"$JS.API.CONSUMER.*.KV_sessions_nodes.>", "$JS.API.CONSUMER.*.KV_sessions_dir.>"]`
	srv := standalone(t, `authorization { users: [
		{ user: node, password: secret, permissions: { publish: `+own+`, subscribe: ["sessions.node.>", "_INBOX.>"] } }
		{ user: blind, password: secret, permissions: { publish: ["$JS.API.STREAM.INFO.*", "_INBOX.>"], subscribe: ["_INBOX.>"] } }
	] }`)
	url := withUser(srv.ClientURL(), "node:secret")
	join(t, newObserver(), "a", cluster.Config{URL: url})
	start := time.Now()
	_, err := cluster.Join(within(t, patience), cluster.Config{Name: "b", Namespace: "other", URL: url, Local: newSite(t, newObserver())})
	require.ErrorIs(t, err, nats.ErrPermissionViolation)
	require.ErrorContains(t, err, `"other"`)
	_, err = cluster.Open(within(t, patience), cluster.ClientConfig{Namespace: "other", URL: url})
	require.ErrorIs(t, err, nats.ErrPermissionViolation)
	_, err = cluster.Open(within(t, patience), cluster.ClientConfig{URL: withUser(srv.ClientURL(), "blind:secret")})
	require.ErrorIs(t, err, nats.ErrPermissionViolation)
	require.Less(t, time.Since(start), patience/2)
}
