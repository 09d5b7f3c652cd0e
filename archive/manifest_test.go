package archive_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
)

// signer returns a fixed key; n chooses which.
func signer(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func manifest() *archive.Manifest {
	at := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	return &archive.Manifest{
		Archive: uuidA, Key: "2026/11/22/" + uuidA,
		TargetUUID: uuidB, TargetName: "orders", TargetPlugin: "postgres",
		PluginVersion: "1.0.0", PluginDigest: "sha256:00",
		StoreUUID: uuidB, StoreName: "vault", JobUUID: uuidB, JobName: "nightly",
		TakenAt: at, FinishedAt: at.Add(time.Minute), ExpiresAt: at.AddDate(0, 1, 0),
		RawSize: 10, RawDigest: "blake3:" + strings.Repeat("0a", 32),
		SealedSize: 500, SealedDigest: "blake3:" + strings.Repeat("0b", 32),
		Frames: 1, Level: archive.Fastest,
		Recipients: []string{"age1example"}, Refs: []archive.BlobRef{},
	}
}

func TestManifestRoundTrip(t *testing.T) {
	t.Parallel()
	id := identity(t)
	for _, recipients := range [][]age.Recipient{nil, {id.Recipient()}} {
		data, err := archive.SealManifest(manifest(), signer(1), recipients)
		if err != nil {
			t.Fatal(err)
		}
		got, err := archive.OpenManifest(data, []age.Identity{id}, public(signer(2)), public(signer(1)))
		if err != nil {
			t.Fatal(err)
		}
		want := manifest()
		want.Format, want.Version = archive.ManifestFormat, archive.ManifestVersion
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("manifest (-want +got):\n%s", diff)
		}
		_, key, err := archive.InspectManifest(data, []age.Identity{id})
		if err != nil || !key.Equal(public(signer(1))) {
			t.Errorf("InspectManifest: signer %x, %v", key, err)
		}
	}
}

func TestManifestRefused(t *testing.T) {
	t.Parallel()
	id := identity(t)
	trusted := public(signer(1))
	seal := func(key ed25519.PrivateKey, recipients ...age.Recipient) []byte {
		data, err := archive.SealManifest(manifest(), key, recipients)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, tt := range map[string]struct {
		data       []byte
		identities []age.Identity
		code       shield.Code
	}{
		"other signer":       {seal(signer(2)), nil, shield.Forbidden},
		"no identity":        {seal(signer(1), id.Recipient()), nil, shield.Invalid},
		"other identity":     {seal(signer(1), id.Recipient()), []age.Identity{identity(t)}, shield.Invalid},
		"empty":              {nil, nil, shield.Corrupt},
		"not JSON":           {[]byte("hello"), nil, shield.Corrupt},
		"empty envelope":     {[]byte("{}"), nil, shield.Corrupt},
		"too large":          {make([]byte, 1<<20+1), nil, shield.Corrupt},
		"later version":      {resign(t, `"version":1`, `"version":2`), nil, shield.Invalid},
		"delta format":       {resign(t, `"format":"stream"`, `"format":"delta"`), nil, shield.Invalid},
		"signed nonsense":    {resign(t, `"archive":"`, `"archive":"x`), nil, shield.Corrupt},
		"signed bad digest":  {resign(t, `blake3:0a`, `blake3:zz`), nil, shield.Corrupt},
		"signed bad size":    {resign(t, `"sealed_size":500`, `"sealed_size":-5`), nil, shield.Corrupt},
		"signed broken JSON": {resign(t, `{`, `[`), nil, shield.Corrupt},
	} {
		_, err := archive.OpenManifest(tt.data, tt.identities, trusted)
		if shield.CodeOf(err) != tt.code {
			t.Errorf("%s: error %v, wanted code %s", name, err, tt.code)
		}
	}
	if _, err := archive.OpenManifest(seal(signer(1)), nil); shield.CodeOf(err) != shield.Forbidden {
		t.Errorf("without trusted keys: %v", err)
	}
	if _, err := archive.OpenManifest(resign(t, `{`, `{"later":[1],`), nil, trusted); err != nil {
		t.Errorf("unknown field: %v", err)
	}
}

// resign returns a manifest with an edit, signed by the trusted key, as only
// the owner of the key can make it.
func resign(t *testing.T, old, replacement string) []byte {
	t.Helper()
	data, err := archive.SealManifest(manifest(), signer(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	var e map[string][]byte
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	e["manifest"] = bytes.Replace(e["manifest"], []byte(old), []byte(replacement), 1)
	e["signature"] = ed25519.Sign(signer(1), append([]byte("shield manifest v1\n"), e["manifest"]...))
	data, err = json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestManifestFlippedByte(t *testing.T) {
	t.Parallel()
	id := identity(t)
	for _, recipients := range [][]age.Recipient{nil, {id.Recipient()}} {
		data, err := archive.SealManifest(manifest(), signer(1), recipients)
		if err != nil {
			t.Fatal(err)
		}
		want, err := archive.OpenManifest(data, []age.Identity{id}, public(signer(1)))
		if err != nil {
			t.Fatal(err)
		}
		step := 1
		if testing.Short() {
			step = 5
		}
		for i := 0; i < len(data); i += step {
			bad := bytes.Clone(data)
			bad[i] ^= 1 << (i % 8)
			got, err := archive.OpenManifest(bad, []age.Identity{id}, public(signer(1)))
			if err == nil && !cmp.Equal(got, want) {
				t.Errorf("byte %d flipped: opened as %+v", i, got)
			}
			if err != nil && shield.CodeOf(err) == shield.Internal {
				t.Errorf("byte %d flipped: %v", i, err)
			}
		}
	}
}

func TestSealManifestIncomplete(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*archive.Manifest){
		"archive":       func(m *archive.Manifest) { m.Archive = "x" },
		"target_uuid":   func(m *archive.Manifest) { m.TargetUUID = "" },
		"job_uuid":      func(m *archive.Manifest) { m.JobUUID = "x" },
		"key":           func(m *archive.Manifest) { m.Key = "" },
		"target_name":   func(m *archive.Manifest) { m.TargetName = strings.Repeat("x", 2000) },
		"taken_at":      func(m *archive.Manifest) { m.FinishedAt = time.Time{} },
		"level":         func(m *archive.Manifest) { m.Level = "most" },
		"raw_digest":    func(m *archive.Manifest) { m.RawDigest = "md5:00" },
		"sealed_digest": func(m *archive.Manifest) { m.SealedDigest = "" },
		"sealed_size":   func(m *archive.Manifest) { m.SealedSize = 0 },
		"refs":          func(m *archive.Manifest) { m.Refs = []archive.BlobRef{{Key: "k"}} },
	} {
		m := manifest()
		spoil(m)
		_, err := archive.SealManifest(m, signer(1), nil)
		var e *shield.Error
		if !errors.As(err, &e) || e.Code != shield.Invalid || e.Field != field {
			t.Errorf("bad %s: %v", field, err)
		}
	}
	if _, err := archive.SealManifest(manifest(), nil, nil); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("no key: %v", err)
	}
}

func TestNewWriterInvalid(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*archive.Header){
		"archive":     func(h *archive.Header) { h.Archive = "" },
		"target_uuid": func(h *archive.Header) { h.TargetUUID = "x" },
		"taken_at":    func(h *archive.Header) { h.TakenAt = time.Time{} },
		"plugin":      func(h *archive.Header) { h.Plugin = strings.Repeat("x", 2000) },
	} {
		h := header()
		spoil(&h)
		_, err := archive.NewWriter(nil, h, nil)
		var e *shield.Error
		if !errors.As(err, &e) || e.Code != shield.Invalid || e.Field != field {
			t.Errorf("bad %s: %v", field, err)
		}
	}
	if _, err := archive.NewWriter(nil, header(), &archive.WriterOptions{Level: "most"}); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("bad level: %v", err)
	}
}
