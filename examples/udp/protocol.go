package main

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"strconv"
	"sync"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/udp"
)

// A device can make the server store maxNames reports of one datagram each.
const (
	maxDatagram = 128
	maxNames    = 8
)

// Everything that the server sends begins with reply, and it answers nothing that
// does. Otherwise a datagram with a forged address could set two servers against each
// other, each of which answers what the other says, for ever.
const (
	reply = '>'
	hello = '+' // begins a datagram that brings a cookie, and the name of a device that has one
)

// devices holds the callbacks of the server. Each session is a device.
type devices struct {
	srv     *udp.Server
	cookies cookies
	reply   []byte // of admit, which is called by one goroutine at a time

	mu sync.Mutex
	// Guarded by mu.
	byName map[string]*udp.Session
}

// device holds what the server knows of a device. The callbacks of a session run one
// after the other, so it needs no lock.
type device struct {
	name    string // that only the device and the server know; immutable
	reports map[string]string
}

// admit demands a cookie from an address without a session. It sends at most twice
// the bytes that it was sent, headers included, so that forged addresses make it
// multiply little traffic. If the datagram brings the name of a device too, the device
// has got another address, and its session is moved there.
func (d *devices) admit(from netip.AddrPort, p []byte) ([]byte, bool) {
	p = bytes.TrimSpace(p)
	if isReply(p) {
		return nil, false
	}
	cookie, name, ok := parseHello(p)
	if !ok || !d.cookies.valid(from, cookie) {
		d.reply = d.cookies.challenge(d.reply[:0], from)
		return d.reply, false
	}
	d.move(name, from)
	return nil, true
}

// onNew adds a device and gives it a name.
func (d *devices) onNew(s *udp.Session) {
	dev := &device{name: rand.Text()}
	s.SetValue(dev)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byName[dev.name] = s
}

// onClosed forgets a device.
func (d *devices) onClosed(s *udp.Session, _ pool.Reason) {
	if dev, ok := s.Value().(*device); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.byName, dev.name)
	}
}

// farewell tells a device the reason.
func (d *devices) farewell(_ *udp.Session, why pool.Reason) []byte {
	return []byte("> bye " + why)
}

// onMessage handles a datagram.
func (d *devices) onMessage(s *udp.Session, p []byte) {
	p = bytes.TrimSpace(p)
	switch {
	case isReply(p):
	case len(p) > 0 && p[0] == hello:
		d.hello(s, p)
	case string(p) == ".":
		s.Close("left") // farewell replies
	default:
		_ = s.Send(d.answer(s.Value().(*device), p)) // if it is lost, the device asks again
	}
}

// hello answers a datagram with a cookie by the device's name. A device whose name is
// another has got the address of a device that had it before; its session is moved
// here, which ends this one.
func (d *devices) hello(s *udp.Session, p []byte) {
	cookie, name, _ := parseHello(p)
	if !d.cookies.valid(s.RemoteAddr(), cookie) {
		_ = s.Send(d.cookies.challenge(nil, s.RemoteAddr()))
		return
	}
	dev := s.Value().(*device)
	if string(name) != dev.name {
		if moved := d.move(name, s.RemoteAddr()); moved != nil {
			s, dev = moved, &device{name: string(name)}
		}
	}
	_ = s.Send([]byte("> name " + dev.name))
}

// move moves the session of a device to an address that has been proved by a cookie,
// and returns it; nil if there is no such device.
func (d *devices) move(name []byte, to netip.AddrPort) *udp.Session {
	d.mu.Lock()
	s := d.byName[string(name)]
	d.mu.Unlock()
	if s == nil || s.Rebind(to) != nil {
		return nil
	}
	return s
}

func isReply(p []byte) bool { return len(p) > 0 && p[0] == reply }

// parseHello returns the cookie and the name of a datagram; ok is false if it is of
// another kind. Each may be empty.
func parseHello(p []byte) (cookie, name []byte, ok bool) {
	if len(p) == 0 || p[0] != hello {
		return nil, nil, false
	}
	cookie, name, _ = bytes.Cut(p[1:], []byte(" "))
	return cookie, bytes.TrimSpace(name), true
}

// answer returns the reply to a datagram.
func (d *devices) answer(dev *device, p []byte) []byte {
	if len(p) == 0 { // keeps the session open
		return []byte{reply}
	}
	text := []byte("> ")
	if string(p) == "?" {
		return strconv.AppendInt(text, int64(d.srv.Stats().Sessions), 10)
	}
	if name, asks := bytes.CutSuffix(p, []byte("?")); asks {
		value, known := dev.reports[string(name)]
		if !known {
			return append(text, p...)
		}
		text = append(append(text, name...), '=')
		return append(text, value...)
	}
	name, value, reports := bytes.Cut(p, []byte("="))
	switch {
	case !reports || len(name) == 0:
		return append(text, "! neither name=value nor name?"...)
	case !dev.keep(string(name), string(value)):
		return append(text, "! too many names"...)
	default:
		return append(text, "ok"...)
	}
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
