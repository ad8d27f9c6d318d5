package httpguard

import (
	"net/http"
	"time"
)

// Await lifts the server's ReadTimeout from a request without a body, of which nothing
// is left to be read. When that timeout is over, net/http cancels the request's
// context, so it would end event streams and other answers that take long.
func Await(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // without deadlines there is none to lift
	}
}
