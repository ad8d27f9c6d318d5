package dashboard_test

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// A TCP server with a dashboard on the loopback, at /sessions/. It can be read
// there, and nothing can be closed.
func Example() {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	srv := &tcp.Server{Wheel: w} // to be served elsewhere
	defer srv.Close()

	dash, err := dashboard.New(dashboard.Config{Source: dashboard.Server(srv), Wheel: w})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/sessions/", http.StripPrefix("/sessions", dash))
	web := &http.Server{Handler: mux}
	web.RegisterOnShutdown(dash.Close) // which ends the event streams
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- web.Serve(dashboard.Limit(web, l, 0)) }()

	answer, err := http.Get("http://" + l.Addr().String() + "/sessions/api/stats")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	var stats struct {
		Sessions struct{ Open int }
	}
	err = json.NewDecoder(answer.Body).Decode(&stats)
	fmt.Println(answer.StatusCode, stats.Sessions.Open, err)

	fmt.Println(web.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// 200 0 <nil>
	// <nil>
	// http: Server closed
}

// Whoever knows the password may close sessions, and nobody else may even look.
// It is reached as ops.example.com, through a proxy that speaks TLS and hands on
// the Host.
func ExampleConfig_authorize() {
	isOperator := func(r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		return ok && user == "operator" && subtle.ConstantTimeCompare([]byte(password), []byte("a long secret")) == 1
	}
	dash, err := dashboard.New(dashboard.Config{
		Source: dashboard.Server(new(tcp.Server)),
		Hosts:  []string{"ops.example.com"},
		Authorize: func(r *http.Request) error {
			if !isOperator(r) {
				return errors.New("only the operator may close sessions")
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dash.Close()
	http.HandleFunc("/ops/", func(w http.ResponseWriter, r *http.Request) {
		if !isOperator(r) {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		http.StripPrefix("/ops", dash).ServeHTTP(w, r)
	})
	// Output:
}

// A pool with connections of one's own: IDs and addresses are shown as two funcs
// have them.
func ExamplePool() {
	type account struct{ realm, name string }
	sessions, err := pool.New(pool.Config[account, *tunnel]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sessions.Shutdown(context.Background())

	dash, err := dashboard.New(dashboard.Config{
		Source: dashboard.Pool(sessions,
			func(a account) string { return a.realm + "/" + a.name },
			func(t *tunnel) string { return t.from },
		),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dash.Close()
	// Output:
}

// tunnel is a connection that has no RemoteAddr.
type tunnel struct {
	io.Closer
	from string
}
