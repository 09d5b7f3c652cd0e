package azure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// apiVersion is that of the REST API. It has the tier "cold" and blocks of
// 4000 MiB, and is older than the services of all clouds.
const apiVersion = "2021-12-02"

// sign dates a request and signs it with the account's key; with a shared
// access signature, which stands in the URL, there is nothing to sign.
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
func (a *account) sign(r *http.Request, now time.Time) {
	r.Header.Set("x-ms-version", apiVersion)
	r.Header.Set("x-ms-date", now.UTC().Format(http.TimeFormat))
	if a.key == nil {
		return
	}
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(a.stringToSign(r)))
	r.Header.Set("Authorization", "SharedKey "+a.name+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func (a *account) stringToSign(r *http.Request) string {
	h := r.Header
	length := ""
	if r.ContentLength > 0 {
		length = strconv.FormatInt(r.ContentLength, 10)
	}
	return strings.Join([]string{
		r.Method, h.Get("Content-Encoding"), h.Get("Content-Language"), length, h.Get("Content-MD5"), h.Get("Content-Type"),
		"", // Date: x-ms-date stands for it
		h.Get("If-Modified-Since"), h.Get("If-Match"), h.Get("If-None-Match"), h.Get("If-Unmodified-Since"), h.Get("Range"),
		canonicalHeaders(h) + a.canonicalResource(r.URL),
	}, "\n")
}

func canonicalHeaders(h http.Header) string {
	var lines []string
	for name, values := range h {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-ms-") {
			lines = append(lines, name+":"+strings.TrimSpace(strings.Join(values, ","))+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (a *account) canonicalResource(u *url.URL) string {
	text := "/" + a.name + u.EscapedPath()
	query := u.Query()
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names) // all of ours are in lower case
	for _, name := range names {
		values := slices.Clone(query[name])
		slices.Sort(values)
		text += "\n" + name + ":" + strings.Join(values, ",")
	}
	return text
}
