//go:build linux

package google_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/google/google"
)

// TestHMACKey stores by an S3-compatible key, in a server that speaks S3.
func TestHMACKey(t *testing.T) {
	t.Parallel()
	server := testserver.StartMinIO(t, nil)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := minio.New(at.Host, &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	shieldtest.Both(t, "google", google.Plugin(), func(t *testing.T, o plugin.Opener) {
		name := "native"
		if _, native := o.(*plugin.Native); !native {
			name = "sandbox"
		}
		if err := client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		endpoint := func(secret string) shield.Endpoint {
			b, err := json.Marshal(map[string]any{
				"endpoint": server.URL, "bucket": name, "prefix": "deep/below", "access_id": server.AccessKey, "secret": secret, "retries": 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		plugintest.Run(t, o, plugintest.Config{StoreEndpoint: endpoint(server.SecretKey)})
		st, err := o.OpenStore(t.Context(), endpoint("hunter2"), nil)
		if err == nil {
			err = st.(plugin.Tester).Test(t.Context())
		}
		wantCode(t, err, shield.Unauthorized)
	})
}
