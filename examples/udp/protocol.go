package main

import (
	"bytes"
	"strconv"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// A device can make the server store maxNames reports of one datagram each.
const (
	maxDatagram = 128
	maxNames    = 8
)

// A server should send little more to an address than it has received from it, until
// the sender has proved that the address is its own. Otherwise an attacker can forge
// addresses and have the server multiply its traffic. This protocol never proves an
// address, so the limit always applies. It is that of QUIC: three times what was
// received, including the headers of IP and UDP.
const (
	headers       = 28
	amplification = 3
)

// devices holds the callbacks of the server. Each session is a device.
type devices struct{ srv *udp.Server }

// device holds what the server knows of a device. The callbacks of a session run one
// after the other, so it needs no lock.
type device struct {
	reports        map[string]string
	received, sent int // bytes, with their headers
}

// onNew adds a device.
func (d *devices) onNew(s *udp.Session) { s.SetValue(&device{}) }

// onMessage handles a datagram.
func (d *devices) onMessage(s *udp.Session, p []byte) {
	dev := s.Value().(*device)
	dev.received += headers + len(p)
	p = bytes.TrimSpace(p)
	if string(p) == "." {
		s.Close("left") // onClosed replies
		return
	}
	dev.send(s, d.answer(dev, p))
}

// answer returns the reply to a datagram.
func (d *devices) answer(dev *device, p []byte) []byte {
	if len(p) == 0 { // keeps the session open
		return p
	}
	if string(p) == "?" {
		return strconv.AppendInt(nil, int64(d.srv.Stats().Sessions), 10)
	}
	if name, asks := bytes.CutSuffix(p, []byte("?")); asks {
		value, known := dev.reports[string(name)]
		if !known {
			return p
		}
		return append(append(name, '='), value...)
	}
	name, value, reports := bytes.Cut(p, []byte("="))
	if !reports || len(name) == 0 || !dev.keep(string(name), string(value)) {
		return []byte("!")
	}
	return []byte("ok")
}

// keep stores a report. It returns false if the device has too many.
func (dev *device) keep(name, value string) bool {
	if _, known := dev.reports[name]; !known && len(dev.reports) == maxNames {
		return false
	}
	if dev.reports == nil {
		dev.reports = make(map[string]string)
	}
	dev.reports[name] = value
	return true
}

// send sends a reply, unless the device has not sent enough for that.
func (dev *device) send(s *udp.Session, p []byte) {
	if n := headers + len(p); dev.sent+n <= amplification*dev.received {
		dev.sent += n
		_ = s.Send(p) // if it is lost, the device asks again
	}
}

// onClosed tells the device the reason.
func (d *devices) onClosed(s *udp.Session, why pool.Reason) {
	if dev, ok := s.Value().(*device); ok {
		dev.send(s, []byte(". "+why))
	}
}
