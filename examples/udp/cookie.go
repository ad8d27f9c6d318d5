package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"net/netip"
	"sync"
	"time"
)

const (
	cookieBytes = 8
	keyLife     = time.Minute // a cookie is valid for one to two of these
)

// cookies makes cookies that prove an address: the server sends one to the address,
// and only who receives there can send it back. A cookie is the beginning of an HMAC of
// the address under a key that changes, so the server stores nothing for it.
type cookies struct {
	mu sync.Mutex
	// Guarded by mu.
	present, former hash.Hash
	since           time.Time // when present's key was made

	// So that nothing is allocated for a flood of datagrams.
	addr [18]byte
	sum  [sha256.Size]byte
	want [2 * cookieBytes]byte
}

// challenge appends to dst the datagram that asks for a cookie and has the one to
// bring.
func (c *cookies) challenge(dst []byte, addr netip.AddrPort) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changeKeysLocked(time.Now())
	c.makeLocked(c.present, addr)
	return append(append(dst, "> cookie "...), c.want[:]...)
}

// valid reports whether a cookie is of the address and not too old.
func (c *cookies) valid(addr netip.AddrPort, cookie []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changeKeysLocked(time.Now())
	for _, key := range []hash.Hash{c.present, c.former} {
		c.makeLocked(key, addr)
		if hmac.Equal(c.want[:], cookie) {
			return true
		}
	}
	return false
}

// makeLocked sets want to the cookie of an address.
func (c *cookies) makeLocked(key hash.Hash, addr netip.AddrPort) {
	ip := addr.Addr().As16()
	copy(c.addr[:], ip[:])
	binary.BigEndian.PutUint16(c.addr[16:], addr.Port())
	key.Reset()
	key.Write(c.addr[:])
	key.Sum(c.sum[:0])
	hex.Encode(c.want[:], c.sum[:cookieBytes])
}

// changeKeysLocked replaces the keys that are too old.
func (c *cookies) changeKeysLocked(now time.Time) {
	age := now.Sub(c.since)
	if c.present != nil && age < keyLife {
		return
	}
	c.former, c.since = c.present, now
	c.present = newKey()
	if c.former == nil || age >= 2*keyLife {
		c.former = newKey()
	}
}

func newKey() hash.Hash {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return hmac.New(sha256.New, key)
}
