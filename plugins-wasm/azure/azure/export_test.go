package azure

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// CombineCRC and Checksum are for tests.
var (
	CombineCRC = combineCRC
	CRCTable   = crcTable
	SlabsOf    = slabsOf
)

// Limits of uploads, for tests.
const (
	SlabSize   = slabSize
	PoolSlabs  = poolSlabs
	BlockLimit = blockLimit
)

// Ask sends a signed request without a body.
func Ask(t testing.TB, method string, u *url.URL, name, key string) (int, http.Header, []byte) {
	t.Helper()
	return AskWith(t, method, u, name, key, "")
}

// AskWith is Ask with a body.
func AskWith(t testing.TB, method string, u *url.URL, name, key, body string) (int, http.Header, []byte) {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, u.String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	(&account{name: name, key: secret}).sign(r, time.Now())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, b
}

// StringToSign returns what is signed of a request.
func StringToSign(r *http.Request, name string) string { return (&account{name: name}).stringToSign(r) }

// ParseConnectionString says what a connection string names.
func ParseConnectionString(text string) (account, endpoint string, err error) {
	c, err := parseConnectionString(text)
	if err != nil {
		return "", "", err
	}
	return c.account, c.endpoint, nil
}

// ParsePage returns the names of a page of blobs.
func ParsePage(body []byte) ([]string, error) {
	p, err := parsePage(body, "place")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, b := range p.Blobs.Blob {
		names = append(names, b.Name)
	}
	return names, nil
}

// SAS makes a shared access signature for a container.
// https://learn.microsoft.com/rest/api/storageservices/create-service-sas
func SAS(t testing.TB, name, key, container, permissions string, until time.Time) string {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	end := until.UTC().Format(time.RFC3339)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(strings.Join([]string{
		permissions, "", end, "/blob/" + name + "/" + container, "", "", "", apiVersion, "c", "", "", "", "", "", "", "",
	}, "\n")))
	return url.Values{
		"sp": {permissions}, "se": {end}, "sv": {apiVersion}, "sr": {"c"}, "sig": {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}.Encode()
}

// PutBlock stages a block.
func PutBlock(t testing.TB, blob, name, key string) (int, http.Header, []byte) {
	t.Helper()
	u, err := url.Parse(blob + "?comp=block&blockid=YWJj")
	if err != nil {
		t.Fatal(err)
	}
	return AskWith(t, http.MethodPut, u, name, key, "content")
}
