package timers

import (
	"context"
	"time"

	"github.com/jellydator/ttlcache/v3"
)

type ttlcacheSessions struct {
	cache *ttlcache.Cache[int64, *Conn]
	done  chan struct{}
}

func ttlcacheImpl() Impl {
	return Impl{
		Name:        "ttlcache",
		Module:      "github.com/jellydator/ttlcache/v3 v3.4.1",
		How:         "a cache of connections WithTTL; on activity Touch by ID; OnEviction reports the expiry",
		Unsupported: map[string]string{ArmStop: "a cache has no timers to arm"},
		New: func(c Config) (Sessions, error) {
			s := &ttlcacheSessions{
				cache: ttlcache.New(ttlcache.WithTTL[int64, *Conn](c.Idle)),
				done:  make(chan struct{}),
			}
			s.cache.OnEviction(func(_ context.Context, r ttlcache.EvictionReason, item *ttlcache.Item[int64, *Conn]) {
				_ = item.Value().Close()
				if r == ttlcache.EvictionReasonExpired {
					c.expired(item.Key())
				}
			})
			go func() { // until Stop, which waits for it
				defer close(s.done)
				s.cache.Start()
			}()
			return s, nil
		},
	}
}

func (s *ttlcacheSessions) Register(id int64, idle time.Duration) { s.cache.Set(id, sharedConn, idle) }

func (s *ttlcacheSessions) Touch(id int64) { s.cache.Touch(id) }

func (s *ttlcacheSessions) RegisterClose(id int64) {
	s.cache.Set(id, sharedConn, ttlcache.DefaultTTL)
	s.cache.Delete(id)
}

// Stop calls the cache's Stop until its Start has returned, because the cache
// ignores a Stop that comes before Start.
func (s *ttlcacheSessions) Stop() {
	for {
		s.cache.Stop()
		select {
		case <-s.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}
