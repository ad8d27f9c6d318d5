// Package access connects to the brokers of a cluster as the flags say, and explains
// in their terms what fails.
package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/wait"
)

// Dial connects to the brokers. It tries until --cluster-timeout is over, unless
// they answer with a refusal.
func Dial(ctx context.Context, c flags.Access, name string, lease time.Duration, log *slog.Logger) (*nats.Conn, error) {
	access, err := options(c)
	if err != nil {
		return nil, err
	}
	opts := append(append(cluster.ConnOptions(lease), access...), nats.Name("sessionwheel "+name),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else it was closed here
				log.Warn("broker lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("broker reached again", "url", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Debug("broker", "error", err) }),
	)
	limit, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	for {
		nc, err := nats.Connect(c.Cluster, opts...)
		if err == nil {
			return nc, nil
		}
		if no := refusal(c, err); no != nil {
			return nil, no
		}
		if !wait.Sleep(limit, 100*time.Millisecond) {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("no broker at --cluster %s within --cluster-timeout %v (%w): start one, such as with \"sessionwheel serve --cluster embedded --cluster-listen ADDR\"",
				flags.WithoutUser(c.Cluster), c.Timeout, err)
		}
	}
}

// options returns the options that give access to the brokers. The error names the
// flag whose file is of no use.
func options(c flags.Access) (opts []nats.Option, err error) {
	token, err := c.Token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		opts = append(opts, nats.Token(token))
	}
	if c.Creds != "" {
		text, err := os.ReadFile(c.Creds)
		if err == nil {
			_, err = nkeys.ParseDecoratedUserNKey(text)
		}
		if err != nil {
			return nil, fmt.Errorf("--cluster-creds %s has no user's credentials: %w", c.Creds, err)
		}
		opts = append(opts, nats.UserCredentials(c.Creds))
	}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(text) {
			return nil, errors.Join(fmt.Errorf("--cluster-ca %s has no certificate in PEM", c.CA), err)
		}
		opts = append(opts, nats.RootCAs(c.CA))
	}
	return opts, nil
}

// refusal returns an error that names the flag to correct, if err is a failure to
// connect that another attempt will not mend; else nil.
func refusal(c flags.Access, err error) error {
	at := "the broker at --cluster " + flags.WithoutUser(c.Cluster)
	var untrusted *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		given := "without a token (--cluster-token-file), --cluster-creds and a user in SESSIONWHEEL_CLUSTER"
		token, _ := c.Token() // it was read before
		switch {
		case c.Creds != "":
			given = "with --cluster-creds " + c.Creds
		case c.TokenFile != "":
			given = "with the token in --cluster-token-file " + c.TokenFile
		case token != "":
			given = "with the token in SESSIONWHEEL_CLUSTER_TOKEN"
		case flags.WithoutUser(c.Cluster) != c.Cluster:
			given = "with the user and password in SESSIONWHEEL_CLUSTER"
		}
		return fmt.Errorf("%s refuses access %s: %w", at, given, err)
	case errors.As(err, &untrusted) && c.CA == "":
		return fmt.Errorf("%s is not trusted: give the --cluster-ca that has signed its certificate: %w", at, untrusted.Err)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s is not trusted by --cluster-ca %s: %w", at, c.CA, untrusted.Err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%s speaks no TLS: turn it on there, or give nats:// and no --cluster-ca", at)
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout), errors.As(err, &network):
		return nil
	default:
		return fmt.Errorf("%s: %w", at, err)
	}
}

// Flags replaces the fields that an error of the packages cluster and embedded names
// with flags.
var Flags = strings.NewReplacer("cluster: ", "", "Config.Replicas", "--replicas", "Config.Streams", "--streams", "Config.Namespace", "--cluster-namespace",
	"ClientConfig.Namespace", "--cluster-namespace", "Config.LeaseTTL", "--lease", "Config.Name", "--node", "Config.Storage", "--cluster-storage",
	"embedded: ", "", "Config.Addr", "--cluster-listen", "Config.Dir", "--cluster-dir", "Config.Token", "--cluster-token-file")

// JoinError says why there is no way into the cluster.
func JoinError(ctx context.Context, c flags.Access, err error) error {
	at := "--cluster " + flags.WithoutUser(c.Cluster)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, cluster.ErrNoCluster):
		return fmt.Errorf("there is no cluster --cluster-namespace %s at %s: no node has ever joined it", c.Namespace, at)
	case errors.Is(err, cluster.ErrUnavailable):
		return fmt.Errorf("no way into %s within --cluster-timeout %v: %s", at, c.Timeout, Flags.Replace(err.Error()))
	default:
		return fmt.Errorf("%s: %s", at, Flags.Replace(err.Error()))
	}
}
