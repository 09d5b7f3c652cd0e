package wasmhost

import (
	"crypto/rand"
	"maps"
)

// greased returns an answer with a key that no guest can know. Guests must
// ignore what they do not know; one that does not shall fail today, and not
// when the answers get a new key.
func greased(answer map[string]any) map[string]any {
	answer = maps.Clone(answer)
	answer["grease_"+rand.Text()[:8]] = rand.Text()[:8]
	return answer
}
