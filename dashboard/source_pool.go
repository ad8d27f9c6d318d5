package dashboard

import (
	"fmt"
	"io"
	"iter"
	"reflect"
	"strconv"

	"github.com/sessionwheel/sessionwheel/pool"
)

// Pool shows the sessions of a pool. The first func is what an ID is called, and
// must give no two IDs the same text; nil means as fmt.Sprint has it. The second
// is the address of a connection; nil means that of its RemoteAddr, if the
// connection has one, and "" otherwise. Both are called often, on the goroutines
// of requests, while sessions come and go, and should be quick.
//
// A session is closed by its ID without a walk over all of them when K is a
// kind of string or integer without methods and the first func is nil.
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
	exact  bool // parse undoes name
}

func (p *poolSource[K, C]) figures() figures { return figures{Stats: p.pool.Stats()} }

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

// isPlain reports whether fmt prints a K in a way that parse undoes.
func isPlain[K comparable]() bool {
	t := reflect.TypeFor[K]()
	return t.NumMethod() == 0 && (t.Kind() == reflect.String || isInteger(t.Kind()))
}

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }

// parse is the K, which is a kind of string or integer, that fmt prints as text.
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
