// Package brokerd runs a broker of the tests or the measurements in a process of its own.
package brokerd

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sessionwheel/sessionwheel/cluster/embedded"
)

// Arg says which broker a process is: with an Addr one of package embedded, otherwise a plain
// one, which is standalone without a Route.
type Arg struct {
	Dir  string
	Addr string

	Name, Host  string
	Port, Route int
	Routes      string // of all, with commas in between
}

// Options returns the options of a plain broker.
func (a Arg) Options() *server.Options {
	o := &server.Options{
		ServerName: a.Name, Host: a.Host, Port: a.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: a.Dir,
	}
	if a.Route != 0 {
		o.Cluster = server.ClusterOpts{Name: "trio", Host: a.Host, Port: a.Route}
		o.Routes = server.RoutesFromStr(a.Routes)
	}
	return o
}

// Run runs a broker until in ends, and shuts it down. When it accepts connections, Run writes
// its URL to out, as JSON.
func Run(a Arg, in io.Reader, out io.Writer) error {
	url, stop, err := start(a)
	if err != nil {
		return err
	}
	err = json.NewEncoder(out).Encode(url)
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	return errors.Join(err, stop())
}

func start(a Arg) (url string, stop func() error, err error) {
	if a.Addr != "" {
		b, err := embedded.Start(embedded.Config{Dir: a.Dir, Addr: a.Addr})
		if err != nil {
			return "", nil, err
		}
		return b.URL(), b.Close, nil
	}
	srv, err := server.NewServer(a.Options())
	if err != nil {
		return "", nil, err
	}
	srv.Start()
	stop = func() error {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil
	}
	if !srv.ReadyForConnections(time.Minute) {
		return "", nil, errors.Join(errors.New("the broker did not start within a minute"), stop())
	}
	return srv.ClientURL(), stop, nil
}
