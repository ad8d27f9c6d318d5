package tcptest

import "time"

// deadline is the read or write deadline of a Conn, guarded by its link's mu.
type deadline struct {
	passed bool
	timer  *time.Timer // nil: none is to come
}

// set replaces the deadline. When it passes, all who wait on the link are woken.
func (d *deadline) set(t time.Time, l *link) {
	d.clear()
	defer l.changed.Broadcast()
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		return
	}
	var own *time.Timer
	own = time.AfterFunc(left, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if d.timer == own { // it was not replaced meanwhile
			d.passed = true
			l.changed.Broadcast()
		}
	})
	d.timer = own
}

// clear removes the deadline.
func (d *deadline) clear() {
	if d.timer != nil {
		d.timer.Stop()
	}
	*d = deadline{}
}
