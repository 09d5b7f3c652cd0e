package pdk

import (
	"encoding/hex"
	"encoding/json"
)

// A hostHash is a hash of the host's. It never makes anybody wait.
type hostHash struct{ *hostStream }

func newHasher(algorithm string) (hasher, error) {
	return openHash(map[string]any{"algorithm": algorithm})
}

func openHash(descriptor map[string]any) (hasher, error) {
	h, err := openHandle(map[string]any{"hash": descriptor})
	if err != nil {
		return nil, err
	}
	return hostHash{newStream(h)}, nil
}

func (h hostHash) sum() ([]byte, error) {
	text, err := statText(h.h)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Sum string `json:"sum"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, err
	}
	return hex.DecodeString(answer.Sum)
}
