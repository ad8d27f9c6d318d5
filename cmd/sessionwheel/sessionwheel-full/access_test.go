package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console/consoletest"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/servetest"
)

// tried is a node of a broker that it does not get to, and its one line of error.
func tried(t *testing.T, args ...string) consoletest.Outcome {
	t.Helper()
	return triedAt(t, "", args...)
}

// triedAt is tried with the broker's URL, which has a password, in the environment.
func triedAt(t *testing.T, url string, args ...string) consoletest.Outcome {
	t.Helper()
	cmd := consoletest.Command(t, append([]string{"serve", "--addr", "127.0.0.1:0", "--node", "n", "--log-level", "error"}, args...)...)
	if url != "" {
		cmd.Env = append(cmd.Env, "SESSIONWHEEL_CLUSTER="+url)
	}
	o := consoletest.End(t, cmd)
	require.Equal(t, console.ExitRuntime, o.Status, o.Err)
	return o
}

// password is that of the brokers' user, who is called node.
const password = "correct-horse"

func TestNode_ReachesItsBrokerOverTLSAndSaysWhichFlagIsWrongIfItDoesNot(t *testing.T) {
	t.Parallel()
	cert, key, _ := servetest.SelfSigned(t)
	_, at := launchBroker(t, lone(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q }\nauthorization { user: node, password: %s }", cert, key, password)))
	require.Regexp(t, `^tls://`, at)
	host := strings.TrimPrefix(at, "tls://")
	with := func(secret string) string { return "tls://" + url.UserPassword("node", secret).String() + "@" + host }

	serve := consoletest.Command(t, "serve", "--addr", "127.0.0.1:0", "--node", "n", "--lease", "30s", "--cluster-ca", cert)
	serve.Env = append(serve.Env, "SESSIONWHEEL_CLUSTER="+with(password))
	p, addr := servetest.Listening(t, serve)
	g := servetest.ConnectPeer(t, addr)
	require.Equal(t, "ok", g.Ask("login ann"))
	ls := consoletest.Command(t, "cluster", "ls", "--cluster-ca", cert)
	ls.Env = append(ls.Env, "SESSIONWHEEL_CLUSTER="+strings.Replace(with(password), "tls:", "nats:", 1))
	require.Regexp(t, `^ann\tn\t`, consoletest.End(t, ls).Prints(t))

	other, _, _ := servetest.SelfSigned(t)
	for _, tt := range []struct {
		url  string
		args []string
		want []string
	}{
		{with(password), nil, []string{"the broker at --cluster " + at, "is not trusted", "give the --cluster-ca"}},
		{with(password), []string{"--cluster-ca", other}, []string{at, "is not trusted by --cluster-ca " + other}},
		{with(password), []string{"--cluster-ca", key}, []string{"--cluster-ca " + key, "no certificate in PEM"}},
		{with(password + "s"), []string{"--cluster-ca", cert}, []string{at, "refuses access", "the user and password in SESSIONWHEEL_CLUSTER"}},
		{at, []string{"--cluster-ca", cert}, []string{at, "refuses access without", "--cluster-token-file", "--cluster-creds"}},
		{at, []string{"--cluster-ca", cert, "--cluster-token-file", written(t, "token", password)}, []string{at, "refuses access with the token in --cluster-token-file"}},
	} {
		o := triedAt(t, tt.url, tt.args...)
		o.OneErrorLine(t, tt.want...)
		require.NotContains(t, o.Err, password)
	}
	_, plain := launchBroker(t, lone(t, ""))
	plain = strings.Replace(plain, "nats:", "tls:", 1)
	tried(t, "--cluster", plain, "--cluster-ca", cert).OneErrorLine(t, plain, "speaks no TLS", "nats://")
	require.NotContains(t, p.Logged(), password)
}

// operator signs accounts and users for a broker.
type operator struct {
	t    *testing.T
	keys nkeys.KeyPair
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	keys, err := nkeys.CreateOperator()
	require.NoError(t, err)
	return &operator{t, keys}
}

func public(t *testing.T, keys nkeys.KeyPair) string {
	t.Helper()
	id, err := keys.PublicKey()
	require.NoError(t, err)
	return id
}

// account makes one with JetStream, or without.
func (o *operator) account(stores bool) (keys nkeys.KeyPair, signed string) {
	o.t.Helper()
	keys, err := nkeys.CreateAccount()
	require.NoError(o.t, err)
	claims := jwt.NewAccountClaims(public(o.t, keys))
	if stores {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	signed, err = claims.Encode(o.keys)
	require.NoError(o.t, err)
	return keys, signed
}

// user makes one of the account and returns its file of credentials.
func (o *operator) user(account nkeys.KeyPair) (path string) {
	o.t.Helper()
	keys, err := nkeys.CreateUser()
	require.NoError(o.t, err)
	signed, err := jwt.NewUserClaims(public(o.t, keys)).Encode(account)
	require.NoError(o.t, err)
	seed, err := keys.Seed()
	require.NoError(o.t, err)
	creds, err := jwt.FormatUserConfig(signed, seed)
	require.NoError(o.t, err)
	return written(o.t, "user.creds", string(creds))
}

func TestNode_AUsersCredentialsGiveAccessAndTheErrorNamesThemIfTheyDoNot(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	claims := jwt.NewOperatorClaims(public(t, o.keys))
	signed, err := claims.Encode(o.keys)
	require.NoError(t, err)
	system, systemJWT := o.account(false)
	stores, storesJWT := o.account(true)
	bare, bareJWT := o.account(false)
	stranger, _ := o.account(true)
	_, at := launchBroker(t, lone(t, fmt.Sprintf("operator: %q\nresolver: MEMORY\nsystem_account: %s\nresolver_preload: { %s: %q, %s: %q, %s: %q }",
		signed, public(t, system), public(t, system), systemJWT, public(t, stores), storesJWT, public(t, bare), bareJWT)))

	creds := o.user(stores)
	_, addr := servetest.Start(t, "--cluster", at, "--node", "n", "--lease", "30s", "--cluster-creds", creds)
	require.Equal(t, "ok", servetest.ConnectPeer(t, addr).Ask("login ann"))
	require.Regexp(t, `^ann\tn\t`, consoletest.Run(t, "cluster", "where", "ann", "--cluster", at, "--cluster-creds", creds).Prints(t))

	wrong, garbage := o.user(stranger), written(t, "garbage", "SUABCDEF")
	tried(t, "--cluster", at, "--cluster-creds", wrong).OneErrorLine(t, at, "refuses access with --cluster-creds "+wrong)
	tried(t, "--cluster", at, "--cluster-creds", garbage).OneErrorLine(t, "--cluster-creds "+garbage, "no user's credentials")
	tried(t, "--cluster", at).OneErrorLine(t, at, "refuses access without", "--cluster-creds")
	tried(t, "--cluster", at, "--cluster-creds", o.user(bare)).OneErrorLine(t, at, "no JetStream", "the account")
}
