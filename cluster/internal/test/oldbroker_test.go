package test

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// A broker before 2.11 ignores what it does not know of a stream's configuration, and its
// answer lacks it.
func TestJoin_RefusesABrokerThatKeepsMarkersForEver(t *testing.T) {
	t.Parallel()
	b := broker(t)
	p := between(t, b.URL())
	p.mu.Lock()
	p.inwards = func(from io.Reader) io.Reader {
		return &filter{from: bufio.NewReaderSize(from, 64<<10), drop: func(string) bool { return false }, edit: func(m []byte) []byte {
			m = bytes.Replace(m, []byte(`"allow_msg_ttl":true`), []byte(`"nothing_known":true`), 1)
			return bytes.Replace(m, []byte(`"subject_delete_marker_ttl"`), []byte(`"nothing_known_of_all_that"`), 1)
		}}
	}
	p.mu.Unlock()
	for _, what := range []string{"new streams", "streams that exist"} {
		_, err := cluster.Join(within(t, patience), cluster.Config{Name: "a", URL: p.url(), Local: newSite(t, newObserver())})
		require.ErrorContains(t, err, "2.11 or later", what)
	}
}

func TestJoin_NamesAStreamThatHasItsSubjects(t *testing.T) {
	t.Parallel()
	for name, subjects := range map[string][]string{
		"requests":  {"sessions.>"},
		"directory": {"$KV.sessions_dir.s.*"},
		"nodes":     {"$KV.sessions_nodes.>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := broker(t)
			nc, err := nats.Connect(b.URL())
			require.NoError(t, err)
			defer nc.Close()
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FOREIGN", Subjects: subjects})
			require.NoError(t, err)
			start := time.Now()
			_, err = cluster.Join(within(t, patience), cluster.Config{Name: "a", URL: b.URL(), Local: newSite(t, newObserver())})
			require.ErrorContains(t, err, `"FOREIGN"`)
			require.Less(t, time.Since(start), patience/2)
			join(t, newObserver(), "a", cluster.Config{Namespace: "free", URL: b.URL()})
		})
	}
}
