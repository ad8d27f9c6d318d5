package grafana_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

// sample is a float, or a histogram if h is not nil.
type sample struct {
	t int64 // milliseconds
	f float64
	h *histogram.FloatHistogram
}

func (s sample) T() int64                      { return s.t }
func (sample) ST() int64                       { return 0 }
func (s sample) F() float64                    { return s.f }
func (sample) H() *histogram.Histogram         { return nil }
func (s sample) FH() *histogram.FloatHistogram { return s.h }

func (s sample) Copy() chunks.Sample {
	if s.h != nil {
		s.h = s.h.Copy()
	}
	return s
}

func (s sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// store holds series in memory, by their labels, for Prometheus's engine.
type store map[string]*storedSeries

type storedSeries struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func (s store) add(l labels.Labels, v sample) {
	series, ok := s[l.String()]
	if !ok {
		series = &storedSeries{labels: l}
		s[l.String()] = series
	}
	series.samples = append(series.samples, v)
}

// scraped adds the result of a scrape, with the labels of a target.
func (s store) scraped(t testing.TB, at time.Time, contentType string, body []byte) {
	t.Helper()
	p, err := textparse.New(body, contentType, nil, textparse.ParserOptions{})
	require.NoError(t, err)
	for {
		entry, err := p.Next()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
		if entry != textparse.EntrySeries && entry != textparse.EntryHistogram {
			continue
		}
		var l labels.Labels
		p.Labels(&l)
		b := labels.NewBuilder(l)
		b.Set("job", "chat").Set("instance", "127.0.0.1:7000")
		v := sample{t: at.UnixMilli()}
		if entry == textparse.EntryHistogram {
			_, _, h, fh := p.Histogram()
			require.Nil(t, fh)
			v.h = h.ToFloat(nil)
		} else {
			_, _, v.f = p.Series()
		}
		s.add(b.Labels(), v)
	}
}

// load adds series in the notation of Prometheus's unit tests, with a sample per
// interval, beginning at the Unix epoch.
func (s store) load(t testing.TB, interval time.Duration, series ...string) {
	t.Helper()
	for _, text := range series {
		l, values, err := promQL.ParseSeriesDesc(strings.TrimSpace(text))
		require.NoError(t, err, text)
		for i, v := range values {
			if !v.Omitted {
				s.add(l, sample{t: (time.Duration(i) * interval).Milliseconds(), f: v.Value, h: v.Histogram})
			}
		}
	}
}

// Querier implements storage.Queryable.
func (s store) Querier(_, _ int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
		var found seriesSet
		for _, series := range s {
			if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(series.labels.Get(m.Name)) }) {
				found.rest = append(found.rest, storage.NewListSeries(series.labels, series.samples))
			}
		}
		slices.SortFunc(found.rest, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
		return &found
	}}, nil
}

// seriesSet implements storage.SeriesSet for series in memory.
type seriesSet struct {
	at   storage.Series
	rest []storage.Series
}

func (s *seriesSet) At() storage.Series                { return s.at }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

func (s *seriesSet) Next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.at, s.rest = s.rest[0], s.rest[1:]
	return true
}

// promQL parses as Prometheus does without experimental features.
var promQL = parser.NewParser(parser.Options{})

func newEngine(t testing.TB) *promql.Engine {
	t.Helper()
	e := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: promQL,
	})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// query evaluates an expression at each step between two times.
func (s store) query(t testing.TB, e *promql.Engine, expr string, from, to time.Time, step time.Duration) promql.Matrix {
	t.Helper()
	q, err := e.NewRangeQuery(t.Context(), storage.QueryableFunc(s.Querier), nil, expr, from, to, step)
	require.NoError(t, err, expr)
	defer q.Close()
	r := q.Exec(t.Context())
	require.NoError(t, r.Err, expr)
	require.Empty(t, r.Warnings, expr)
	m, err := r.Matrix()
	require.NoError(t, err, expr)
	return slices.Clone(m)
}
