package load

import (
	"context"
	"net"
	"slices"
	"time"
)

// Wake sends frame on one connection after the other and waits for each echo. After each
// of them it does the same on the connection active. From one round trip to the next takes
// every, so that active is never silent for long.
func (cs Conns) Wake(ctx context.Context, active net.Conn, frame []byte, every time.Duration) (silent, busy Report, err error) {
	start := time.Now()
	for _, c := range append(slices.Clone(cs), active) {
		_ = c.SetDeadline(start.Add(time.Duration(2*len(cs))*every + ioTimeout)) // the echo would fail too
	}
	buf := make([]byte, len(frame))
	trip := func(n int, c net.Conn, r *Report) error {
		time.Sleep(time.Until(start.Add(time.Duration(n) * every)))
		from := time.Now()
		if err := roundTrip(c, frame, buf); err != nil {
			return err
		}
		r.Trips = append(r.Trips, time.Since(from))
		return ctx.Err()
	}
	for i, c := range cs {
		if err := trip(2*i, c, &silent); err != nil {
			return silent, busy, err
		}
		if err := trip(2*i+1, active, &busy); err != nil {
			return silent, busy, err
		}
	}
	for _, r := range []*Report{&silent, &busy} {
		r.Frames, r.Took = len(r.Trips), time.Since(start)
		slices.Sort(r.Trips)
	}
	return silent, busy, nil
}
