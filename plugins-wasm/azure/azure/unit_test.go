package azure_test

import (
	"encoding/json"
	"hash/crc64"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/azure/azure"
)

const goodKey = "c2VjcmV0"

func TestValidation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		endpoint string
		field    string // that is wrong; empty if it is good
		says     string
	}{
		"key":                        {`{"account":"acct","container":"backups","key":"` + goodKey + `"}`, "", ""},
		"sas":                        {`{"account":"acct","container":"backups","sas":"?sv=1&se=2030-01-01&sig=x"}`, "", ""},
		"national cloud":             {`{"container":"backups","endpoint":"https://acct.blob.core.usgovcloudapi.net","key":"` + goodKey + `"}`, "", ""},
		"emulator":                   {`{"container":"backups","endpoint":"http://127.0.0.1:10000/devstoreaccount1","key":"` + goodKey + `"}`, "", ""},
		"connection string":          {`{"account":"acct","container":"backups","connection_string":"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=` + goodKey + `;EndpointSuffix=core.windows.net"}`, "", ""},
		"no container":               {`{"account":"acct","key":"` + goodKey + `"}`, "endpoint.container", "is missing"},
		"bad container":              {`{"account":"acct","container":"Backups","key":"` + goodKey + `"}`, "endpoint.container", "lower-case"},
		"container with two dashes":  {`{"account":"acct","container":"back--ups","key":"` + goodKey + `"}`, "endpoint.container", "single dashes"},
		"bad account":                {`{"account":"my-acct","container":"backups","key":"` + goodKey + `"}`, "endpoint.account", "letters and digits"},
		"no account":                 {`{"container":"backups","key":"` + goodKey + `"}`, "endpoint.account", "is missing"},
		"no credentials":             {`{"account":"acct","container":"backups"}`, "endpoint.key", "one of key, sas and connection_string"},
		"two credentials":            {`{"account":"acct","container":"backups","key":"` + goodKey + `","sas":"sig=x"}`, "endpoint.key", "only one"},
		"key that is no base64":      {`{"account":"acct","container":"backups","key":"hunter2!"}`, "endpoint.key", "base64"},
		"sas without signature":      {`{"account":"acct","container":"backups","sas":"sv=1"}`, "endpoint.sas", "sig="},
		"slash at the end":           {`{"account":"acct","container":"backups","endpoint":"https://acct.blob.core.windows.net/","key":"` + goodKey + `"}`, "endpoint.endpoint", "leave out the slash"},
		"signature in the endpoint":  {`{"account":"acct","container":"backups","endpoint":"https://acct.blob.core.windows.net?sig=x","key":"` + goodKey + `"}`, "endpoint.endpoint", "field sas"},
		"another account's string":   {`{"account":"other","container":"backups","connection_string":"AccountName=acct;AccountKey=` + goodKey + `"}`, "endpoint.account", `for "acct"`},
		"string with an endpoint":    {`{"account":"acct","container":"backups","connection_string":"BlobEndpoint=https://p.example;AccountName=acct;AccountKey=` + goodKey + `"}`, "endpoint.endpoint", "https://p.example"},
		"string of the emulator":     {`{"account":"acct","container":"backups","connection_string":"UseDevelopmentStorage=true"}`, "endpoint.connection_string", "emulator"},
		"string without credentials": {`{"account":"acct","container":"backups","connection_string":"AccountName=acct"}`, "endpoint.connection_string", "neither"},
		"archive tier":               {`{"account":"acct","container":"backups","key":"` + goodKey + `","access_tier":"archive"}`, "endpoint.access_tier", "hot, cool, cold"},
		"bad prefix":                 {`{"account":"acct","container":"backups","key":"` + goodKey + `","prefix":"a/../b"}`, "endpoint.prefix", "dot"},
		"bad retries":                {`{"account":"acct","container":"backups","key":"` + goodKey + `","retries":-1}`, "endpoint.retries", "0 to 100"},
		"bad stall timeout":          {`{"account":"acct","container":"backups","key":"` + goodKey + `","stall_timeout":"1ms"}`, "endpoint.stall_timeout", "at least 1s"},
		"custom domain":              {`{"account":"acct","container":"backups","endpoint":"https://custom.example","key":"` + goodKey + `"}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := azure.Plugin().OpenStore(t.Context(), shield.Endpoint(c.endpoint), nil)
			if c.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, shield.Invalid, c.field, c.says)
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), goodKey) {
				t.Errorf("%q has the key", err)
			}
		})
	}
}

// TestCapabilities: a call reaches its container and nothing else.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	info, err := azure.Plugin().Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		t.Fatal(err)
	}
	for endpoint, want := range map[string][]string{
		`{"account":"acct","container":"backups"}`:                                               {"https://acct.blob.core.windows.net/backups"},
		`{"endpoint":"https://acct.blob.core.chinacloudapi.cn","container":"backups"}`:           {"https://acct.blob.core.chinacloudapi.cn/backups"},
		`{"endpoint":"http://127.0.0.1:10000/devstoreaccount1","container":"backups","key":"x"}`: {"http://127.0.0.1:10000/devstoreaccount1/backups"},
	} {
		c, err := wanted.Resolve(shield.Endpoint(endpoint))
		if diff := cmp.Diff(want, c.HTTP); diff != "" || err != nil {
			t.Errorf("%s (-want +got): %s%v", endpoint, diff, err)
		}
	}
}

// TestStringToSign has the order of the documentation's example.
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
func TestStringToSign(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://acct.blob.core.windows.net/c/a%20b?comp=block&blockid=eA%3D%3D", strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"x-ms-version": "2021-12-02", "x-ms-date": "Sun, 22 Nov 2026 19:00:00 GMT", "If-None-Match": "*", "Content-Type": "text/plain", "X-Ms-Meta-B": " spaced "} {
		r.Header.Set(k, v)
	}
	want := "PUT\n\n\n5\n\ntext/plain\n\n\n\n*\n\n\n" +
		"x-ms-date:Sun, 22 Nov 2026 19:00:00 GMT\nx-ms-meta-b:spaced\nx-ms-version:2021-12-02\n" +
		"/acct/c/a%20b\nblockid:eA==\ncomp:block"
	if diff := cmp.Diff(want, azure.StringToSign(r, "acct")); diff != "" {
		t.Error(diff)
	}
}

// TestChecksum: the check value of CRC-64/NVME, and pieces are like the whole.
func TestChecksum(t *testing.T) {
	t.Parallel()
	if got := crc64.Checksum([]byte("123456789"), azure.CRCTable); got != 0xAE8B14860A799888 {
		t.Errorf("got %x", got)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		data := make([]byte, r.IntN(5000))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		at := r.IntN(len(data) + 1)
		sum := func(b []byte) uint64 { return crc64.Checksum(b, azure.CRCTable) }
		if got, want := azure.CombineCRC(sum(data[:at]), sum(data[at:]), int64(len(data)-at)), sum(data); got != want {
			t.Fatalf("%d and %d bytes: got %x, want %x", at, len(data)-at, got, want)
		}
	}
}

// TestCapacity: as many blocks as a blob may have hold what the README says,
// and each fits into the memory of an upload.
func TestCapacity(t *testing.T) {
	t.Parallel()
	total := int64(0)
	for n := range azure.BlockLimit {
		if azure.SlabsOf(n) > azure.PoolSlabs {
			t.Fatalf("block %d has %d slabs of %d", n, azure.SlabsOf(n), azure.PoolSlabs)
		}
		total += int64(azure.SlabsOf(n)) * azure.SlabSize
	}
	if total < 13<<40/10 {
		t.Errorf("%d bytes fit, want 1.3 TiB", total)
	}
	if azure.PoolSlabs*azure.SlabSize > 40<<20 {
		t.Errorf("an upload has %d bytes of memory", azure.PoolSlabs*azure.SlabSize)
	}
}

func FuzzConnectionString(f *testing.F) {
	f.Add("DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net")
	f.Add("BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x")
	f.Add(";;=;a=b;AccountName==")
	f.Fuzz(func(t *testing.T, text string) {
		account, endpoint, err := azure.ParseConnectionString(text)
		if err == nil && endpoint == "" {
			t.Errorf("account %q without an endpoint", account)
		}
		b, _ := json.Marshal(map[string]string{"container": "backups", "account": account, "connection_string": text})
		_, _ = azure.Plugin().OpenStore(t.Context(), b, nil)
	})
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><EnumerationResults><Blobs><Blob><Name>a</Name><Properties><Content-Length>1</Content-Length></Properties></Blob></Blobs><NextMarker/></EnumerationResults>`))
	f.Add([]byte(`<EnumerationResults><Blobs><Blob><Properties><Content-Length>x`))
	f.Fuzz(func(t *testing.T, body []byte) { _, _ = azure.ParsePage(body) })
}
