package timers

import (
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
)

type otterSessions struct {
	c     Config
	cache *otter.Cache[int64, *Conn]
}

func otterImpl() Impl {
	return Impl{
		Name:        "otter",
		Module:      "github.com/maypok86/otter/v2 v2.4.0",
		How:         "a cache of connections with ExpiryAccessing; on activity GetIfPresent by ID; OnDeletion reports the expiry",
		Unsupported: map[string]string{ArmStop: "a cache has no timers to arm"},
		New: func(c Config) (Sessions, error) {
			cache, err := otter.New(&otter.Options[int64, *Conn]{
				ExpiryCalculator: otter.ExpiryAccessing[int64, *Conn](c.Idle),
				OnDeletion: func(e otter.DeletionEvent[int64, *Conn]) {
					_ = e.Value.Close()
					if e.Cause == otter.CauseExpiration {
						c.expired(e.Key)
					}
				},
			})
			if err != nil {
				return nil, fmt.Errorf("timers: otter: %w", err)
			}
			return &otterSessions{c: c, cache: cache}, nil
		},
	}
}

func (s *otterSessions) Register(id int64, idle time.Duration) {
	s.cache.Set(id, sharedConn)
	if idle != s.c.Idle {
		s.cache.SetExpiresAfter(id, idle)
	}
}

func (s *otterSessions) Touch(id int64) { s.cache.GetIfPresent(id) }

func (s *otterSessions) RegisterClose(id int64) {
	s.cache.Set(id, sharedConn)
	s.cache.Invalidate(id)
}

func (s *otterSessions) Stop() { s.cache.StopAllGoroutines() }
