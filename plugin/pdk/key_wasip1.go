package pdk

import "io"

func deriveKey(hash, password string, salt []byte, iterations int) ([]byte, error) {
	h, err := openHash(map[string]any{"algorithm": "pbkdf2-" + hash, "salt": salt, "iterations": iterations})
	if err != nil {
		return nil, err
	}
	defer func() { _ = h.Close() }()
	if _, err := io.WriteString(h, password); err != nil {
		return nil, err
	}
	return h.sum()
}
