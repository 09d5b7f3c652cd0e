package azure

import (
	"context"

	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Test lists, writes, reads and deletes a small blob.
func (s *store) Test(ctx context.Context) error {
	needs := rest.Needs{
		List:   "the permission l (list), on the container",
		Write:  "the permissions c and w (create, write)",
		Read:   "the permission r (read)",
		Delete: "the permission d (delete)",
	}
	return rest.WithOp("azure.test", rest.Try(ctx, s, needs, s.log))
}
