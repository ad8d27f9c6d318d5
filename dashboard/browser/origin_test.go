package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

// statuses counts a server's answers by the method, the path and the status.
type statuses struct {
	next http.Handler

	mu    sync.Mutex
	count map[string]int // guarded by mu
}

func (s *statuses) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	told := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	s.next.ServeHTTP(told, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[fmt.Sprint(r.Method, " ", r.URL.Path, " ", told.status)]++
}

func (s *statuses) of(answer string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[answer]
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Over plain HTTP, beyond the loopback, browsers do not say in Sec-Fetch-Site who asks.
func TestPage_WorksOverPlainHTTPAndAnotherSiteCostsNothing(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, true)
	require.NoError(t, c.Connect(1))
	d, err := dashboard.New(dashboard.Config{Source: dashboard.Server(s.Server), Wheel: s.Wheel, Hosts: []string{"ops.test"}, Authorize: allow})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	answers := &statuses{next: d, count: make(map[string]int)}
	site := httptest.NewServer(answers)
	t.Cleanup(func() {
		site.CloseClientConnections()
		site.Close()
	})
	at, err := url.Parse(site.URL)
	require.NoError(t, err)
	at.Host = "ops.test:" + at.Port()

	b := requireBrowser(t)
	visit := func(url string) page { // without a look at the console, where the browser complains of plain HTTP
		tab, err := b.Open(browser.Desktop, 3*timeout)
		require.NoError(t, err)
		t.Cleanup(tab.Close)
		p := page{tab, t}
		p.visit(url)
		return p
	}
	p := visit(at.String())
	p.until(`document.getElementById("state").dataset.state === "live"`)
	p.until(counter("Open sessions") + ` === 1 && $$("#rows tr").length === 1`)
	require.False(t, js[bool](p, `isSecureContext`), "or the browser would send Sec-Fetch-Site")
	p.click("#rows button")
	p.until(`$("#closing").open`)
	p.mouse("#confirm")
	p.until(`!$("#closing").open && $("#outcome").textContent.includes("was closed")`)

	own := answers.of("GET /api/history 200")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		policy := "unsafe-url"
		if r.URL.RawQuery != "" {
			policy = "no-referrer"
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<meta name=referrer content=%s><title>evil</title><p id=state data-state=live>
			<img src="%[2]s/api/history"><script src="%[2]s/api/history"></script><link rel=stylesheet href="%[2]s/api/history">
			<iframe src="%[2]s/api/history"></iframe><script>fetch("%[2]s/api/history", { mode: "no-cors" }); fetch("%[2]s/api/history").catch(() => 0)</script>
			<form id=f method=post action="%[2]s/api/history" target=x><iframe name=x></iframe></form><script>f.submit()</script>`, policy, at)
	}))
	t.Cleanup(evil.Close)
	from, err := url.Parse(evil.URL)
	require.NoError(t, err)
	from.Host = "evil.test:" + from.Port()
	for i, query := range []string{"", "?silent"} {
		visit(from.String() + "/" + query)
		require.Eventually(t, func() bool {
			return answers.of("GET /api/history 403") >= 4*(i+1) && answers.of("POST /api/history 403") == i+1
		}, timeout, 50*time.Millisecond)
	}
	require.Equal(t, own, answers.of("GET /api/history 200"))
}
