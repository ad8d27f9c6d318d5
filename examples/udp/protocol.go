package main

import (
	"bytes"
	"strconv"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// What a device may make the server keep is bounded: maxNames reports, each of
// which came in a datagram.
const (
	maxDatagram = 128
	maxNames    = 8
)

// Until an address has proved that it is the sender's, a server should send it
// little more than it has sent, or it multiplies the traffic of whoever forges
// addresses. Nothing here ever proves it, so the limit is for good: that of
// QUIC, three times what was received, headers of IP and UDP included.
const (
	headers       = 28
	amplification = 3
)

// devices are the callbacks of the server. Each session is a device.
type devices struct{ srv *udp.Server }

// device is what is known of one. The callbacks of a session are serial, so it
// needs no lock.
type device struct {
	reports        map[string]string
	received, sent int // bytes, with their headers
}

func (d *devices) arrived(s *udp.Session) { s.SetValue(&device{}) }

// reported handles a datagram.
func (d *devices) reported(s *udp.Session, p []byte) {
	dev := s.Value().(*device)
	dev.received += headers + len(p)
	p = bytes.TrimSpace(p)
	if string(p) == "." {
		s.Close("left") // the answer is its last word
		return
	}
	dev.send(s, d.answer(dev, p))
}

// answer is what a device gets for what it has sent.
func (d *devices) answer(dev *device, p []byte) []byte {
	if len(p) == 0 { // only to be remembered
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

// keep stores a report, and reports false if there are too many.
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

// send sends an answer, unless it is too much for what the device has sent.
func (dev *device) send(s *udp.Session, p []byte) {
	if n := headers + len(p); dev.sent+n <= amplification*dev.received {
		dev.sent += n
		_ = s.Send(p) // what is lost is lost: the device asks again
	}
}

// left says goodbye, with the reason.
func (d *devices) left(s *udp.Session, why pool.Reason) {
	if dev, ok := s.Value().(*device); ok {
		dev.send(s, []byte(". "+why))
	}
}
