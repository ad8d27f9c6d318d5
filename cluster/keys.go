package cluster

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// The maximum length of an ID and of metadata, in bytes. A subject of NATS may have
// about 4,000 bytes.
const (
	maxID   = 1024
	maxMeta = 64 << 10
)

// checkID returns an error for an ID that is empty or too long.
func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("%w: the ID has %d bytes: use 1 to %d", ErrInvalid, len(id), maxID)
	}
	return nil
}

// isWord reports whether s is not empty and consists of A-Z, a-z, 0-9, '-' and '_', which
// have no special meaning in a subject.
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

// isName reports whether s may be the name of a node or a namespace.
func isName(s string) bool { return isWord(s) && len(s) <= 64 }

// The prefixes of the directory's keys. IDs that are words stay readable. Other IDs are
// encoded, and the prefix keeps the two kinds apart.
const (
	plainKey   = "s."
	encodedKey = "b."
)

// keyOf returns the key of an ID in the directory's bucket.
func keyOf(id string) string {
	if isWord(id) {
		return plainKey + id
	}
	return encodedKey + base64.RawURLEncoding.EncodeToString([]byte(id))
}

// idOf returns the ID of a key. It reports false if the key is not that of an ID.
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
