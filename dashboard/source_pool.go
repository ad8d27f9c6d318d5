package dashboard

import (
	"fmt"
	"io"
	"iter"
	"reflect"
	"strconv"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Pool returns a Source of a pool's sessions.
//
// id formats an ID, and should format no two IDs alike; nil means fmt.Sprint.
// address returns the address of a connection; nil means its RemoteAddr, or "" if
// the connection has no such method. Both are called often, on the goroutines of
// requests, while sessions come and go, so they should be fast. Sessions that have
// closed are shown with their RemoteAddr, since the pool has let go of their
// connections.
//
// Closing a session by its ID needs no search through all sessions if K is a kind
// of string or integer without methods and id is nil.
func Pool[K comparable, C io.Closer](p *pool.Pool[K, C], id func(K) string, address func(C) string) Source {
	if p == nil {
		return Source{}
	}
	exact := false
	if id == nil {
		id = func(k K) string { return fmt.Sprint(k) }
		exact = isPlain[K]()
	}
	if address == nil {
		address = func(c C) string {
			if c, ok := any(c).(addressed); ok {
				return addressOf(c)
			}
			return ""
		}
	}
	return Source{&poolSource[K, C]{p, id, address, exact}}
}

type poolSource[K comparable, C io.Closer] struct {
	pool   *pool.Pool[K, C]
	name   func(K) string
	remote func(C) string
	exact  bool // parse is the inverse of name
}

func (p *poolSource[K, C]) stats() sourceStats { return sourceStats{Stats: p.pool.Stats()} }

func (p *poolSource[K, C]) recentlyClosed() []closedSession {
	return formatIDs(p.pool.RecentlyClosed(), p.name)
}

func (p *poolSource[K, C]) all() iter.Seq[session] {
	return func(yield func(session) bool) {
		for _, s := range p.pool.All() {
			if !yield(s) {
				return
			}
		}
	}
}

func (p *poolSource[K, C]) lookup(name string) (session, bool) {
	if !p.exact {
		return nil, false
	}
	if id, ok := parse[K](name); ok && p.name(id) == name {
		if s, ok := p.pool.Get(id); ok {
			return s, true
		}
	}
	return nil, true
}

func (p *poolSource[K, C]) id(s session) string { return p.name(s.(*pool.Session[K, C]).ID()) }

func (p *poolSource[K, C]) address(s session) string { return p.remote(s.(*pool.Session[K, C]).Conn()) }

// label returns "": a pool has only the ID to name a session by.
func (p *poolSource[K, C]) label(session) string { return "" }

// isPlain reports whether parse is the inverse of fmt.Sprint for a K.
func isPlain[K comparable]() bool {
	t := reflect.TypeFor[K]()
	return t.NumMethod() == 0 && (t.Kind() == reflect.String || isInteger(t.Kind()))
}

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }

// parse returns the K that fmt.Sprint formats as text. K is a kind of string or
// integer.
func parse[K comparable](text string) (id K, ok bool) {
	v := reflect.ValueOf(&id).Elem()
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
		return id, true
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return id, err == nil
	default:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return id, err == nil
	}
}
