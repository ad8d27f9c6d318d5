package browser_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
)

// quiet is how long all is well at first, so that the page knows what is usual.
const quiet = 6 * time.Second

func TestScenes_AreToldAtTheTopOfThePage(t *testing.T) {
	t.Parallel()
	for _, s := range browser.Scenes {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			stage, p := startQuietly(t, s)
			began := time.Now()
			require.NoError(t, stage.Wrong())
			// The page counts what closes within three seconds.
			for chances := 2; chances > 0 && time.Since(began) > 2500*time.Millisecond; chances-- {
				p.ExpectNetworkErrors()
				stage, p = startQuietly(t, s)
				began = time.Now()
				require.NoError(t, stage.Wrong())
			}
			at, _, err := p.AwaitIncident(s, time.Now().Add(timeout))
			require.NoError(t, err)
			t.Logf("after %v", at.Sub(began)) // the command scene has a limit for it
			p.ExpectNetworkErrors()           // the server closes before the page
		})
	}
}

// startQuietly starts a scene and opens its page, which must not report anything. A machine that
// starves the wheel already has another two chances, each with a new server.
func startQuietly(t *testing.T, s browser.Scene) (*browser.Stage, page) {
	t.Helper()
	for chances := 2; ; chances-- {
		stage, err := s.Start()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, stage.Close()) })
		p := open(t, browser.Desktop, stage.URL)
		time.Sleep(quiet)
		text, err := p.Incidents()
		require.NoError(t, err)
		if chances > 0 && strings.Contains(text, "did not wake the wheel") {
			p.ExpectNetworkErrors() // the server closes before the page
			continue
		}
		require.Empty(t, text, "before anything happens")
		return stage, p
	}
}

// One look is refused, as while too many others search, and the next finds nobody, as when the
// session was late on a machine that was busy itself.
func TestFlood_LooksThatFindNothingHideNoBusySession(t *testing.T) {
	t.Parallel()
	scene := browser.Scenes[slices.IndexFunc(browser.Scenes, func(s browser.Scene) bool { return s.Name == "flood" })]
	stage, err := scene.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stage.Close()) })
	at, err := url.Parse(stage.URL)
	require.NoError(t, err)
	var searches atomic.Int64 // two for each look
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(at) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // the page hangs up at the end
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sort := r.URL.Query().Get("sort"); sort == "idle" || sort == "remaining" { // the page's table is sorted by ID
			switch searches.Add(1) {
			case 3, 4:
				http.Error(w, "busy", http.StatusTooManyRequests)
				return
			case 5, 6:
				_, _ = io.WriteString(w, `{"sessions": []}`)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		site.CloseClientConnections()
		site.Close()
	})
	p := open(t, browser.Desktop, site.URL)
	p.ExpectNetworkErrors()
	time.Sleep(quiet)
	require.NoError(t, stage.Wrong())
	_, _, err = p.AwaitIncident(scene, time.Now().Add(timeout))
	require.NoError(t, err)
	require.Greater(t, searches.Load(), int64(6), "those looks were made")
}

// A page looks three times, which takes longer than each of these bursts.
func TestFlood_InBurstsNamesTheSession(t *testing.T) {
	t.Parallel()
	s, err := browser.StartEchoServer(time.Hour, dashboard.Config{Interval: 200 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	p := open(t, browser.Desktop, s.Page.URL)
	time.Sleep(quiet)
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	var flood sync.WaitGroup
	defer flood.Wait()
	defer conn.Close()
	flood.Go(func() {
		burst := []byte(strings.Repeat("#me\n", 10_000))
		for _, err := conn.Write(burst); err == nil; _, err = conn.Write(burst) {
			for start := time.Now(); err == nil && time.Since(start) < 1500*time.Millisecond; time.Sleep(5 * time.Millisecond) {
				_, err = io.WriteString(conn, "#me\n")
			}
		}
	})
	p.until(says("incidents", "One session was busy at each of"))
}

func TestFlood_OfConnectionsNamesTheAddressThatOpensThem(t *testing.T) {
	t.Parallel()
	s, c := echoServer(t, time.Hour, false)
	require.NoError(t, c.Connect(20))
	p := open(t, browser.Desktop, s.Page.URL)
	time.Sleep(quiet)
	// It goes on until the page has found out who it is, which takes a request.
	named := make(chan struct{})
	var flood sync.WaitGroup
	flood.Go(func() {
		for range 400 {
			for range 25 {
				conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}).Dial("tcp", s.Addr)
				if !assert.NoError(t, err) {
					return
				}
				defer conn.Close()
			}
			select {
			case <-named:
				return
			case <-time.After(50 * time.Millisecond): // far less than a page's interval
			}
		}
	})
	defer flood.Wait()
	defer close(named)
	p.until(says("incidents", "sessions a second are opened") + ` && ` + says("incidents", "All of the 200 sessions that opened last came from 127.0.0.77.") +
		` && ` + says("incidents", "set MaxSessionsPerIP"))
}

func TestCluster_ANodeThatIsGoneIsReportedWithItsSessions(t *testing.T) {
	t.Parallel()
	c, d := clusterPage(t, 0, false)
	p := open(t, browser.Desktop, d.URL)
	p.until(`$$("#nodes tr").length === 3`)
	all := c.Nodes()
	silent := c.Nodes()
	silent[1].Silent, silent[1].Sessions = 3500*time.Millisecond, 7
	c.SetNodes(silent)
	p.pollNodes()
	p.until(says("incidents", fmt.Sprintf("Node %s has given no sign of life for 3 s.", silent[1].Name)) + ` && ` + says("incidents", "its 7 sessions"))
	p.until(`$$("#nodes .silent")[1].textContent === "silent for 3 s"`)
	c.SetNodes(all)
	p.pollNodes()
	p.until(`$$("#incidents li").length === 0`)
	c.SetNodes(silent)
	p.pollNodes()
	p.until(`$$("#incidents li").length === 1`)
	c.SetNodes([]dashboard.ClusterNode{all[0], all[2]})
	p.pollNodes()
	p.until(says("incidents", fmt.Sprintf("Node %s was declared dead, at", silent[1].Name)) + ` && ` + says("incidents", "7 sessions went with it") + ` && ` + says("incidents", "start it again"))
	c.SetState("Isolated", nil) // knows nothing of the others
	c.SetNodes(all[:1])
	p.pollNodes()
	p.until(says("isolated", "is Isolated"))
	require.Equal(t, 1, js[int](p, `$$("#incidents li").length`))
}
