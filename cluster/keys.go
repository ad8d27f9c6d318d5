package cluster

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// What a login may bring. A subject of NATS may have some 4,000 bytes.
const (
	maxID   = 1024
	maxMeta = 64 << 10
)

func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("%w: the ID has %d bytes: use 1 to %d", ErrInvalid, len(id), maxID)
	}
	return nil
}

// isWord reports whether s consists of A-Z, a-z, 0-9, '-' and '_', which mean
// nothing special in a subject.
func isWord(s string) bool {
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_':
		default:
			return false
		}
	}
	return s != ""
}

func isName(s string) bool { return isWord(s) && len(s) <= 64 }

// The keys of the directory: IDs that are words stay readable, and the prefix
// tells them from others, which could else spell the same.
const (
	plainKey   = "s."
	encodedKey = "b."
)

// keyOf is the key of an ID in the directory's bucket.
func keyOf(id string) string {
	if isWord(id) {
		return plainKey + id
	}
	return encodedKey + base64.RawURLEncoding.EncodeToString([]byte(id))
}

// idOf is the ID of a key; false if no ID has it.
func idOf(key string) (string, bool) {
	if id, ok := strings.CutPrefix(key, plainKey); ok {
		return id, isWord(id)
	}
	s, ok := strings.CutPrefix(key, encodedKey)
	if !ok {
		return "", false
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	return string(b), err == nil && keyOf(string(b)) == key
}
