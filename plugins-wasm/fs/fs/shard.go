package fs

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
)

// A sharded store has 256 folders, 00 to ff, and the shard of a blob is part of
// its key. It follows from the name up to its first dot, so that an archive and
// its manifest are in one.

// place returns the key under which a blob is stored.
func (s *store) place(key string) string {
	if !s.Shard {
		return key
	}
	stem, _, _ := strings.Cut(path.Base(key), ".")
	sum := sha256.Sum256([]byte(stem))
	shard := hex.EncodeToString(sum[:1]) + "/"
	if strings.HasPrefix(key, shard) {
		return key
	}
	return shard + key
}

func isShard(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 2 && strings.ToLower(name) == name
}
