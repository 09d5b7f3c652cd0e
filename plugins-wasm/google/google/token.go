package google

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// A tokenSource gets access tokens and keeps the last while it is good. It is
// safe for concurrent use.
type tokenSource struct {
	account *serviceAccount
	client  *rest.Client // whose place is the token URL

	mu    sync.Mutex
	value string
	until time.Time
}

// tokenMargin is how long before its end a token is not used any more.
const tokenMargin = 2 * time.Minute

func (s *tokenSource) token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value != "" && time.Now().Before(s.until) {
		return s.value, nil
	}
	return s.fetch(ctx)
}

// drop forgets a token that the service does not take.
func (s *tokenSource) drop(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == value {
		s.value = ""
	}
}

func (s *tokenSource) fetch(ctx context.Context) (string, error) {
	now := time.Now()
	assertion, err := s.account.assertion(now)
	if err != nil {
		return "", shield.Errorf(shield.Unauthorized, "", "signing with the key of %s: %w", s.account.ClientEmail, err)
	}
	u, err := url.Parse(s.account.TokenURI)
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}.Encode()
	a, err := s.client.Do(ctx, &rest.Request{
		Op: "get a token", Method: http.MethodPost, URL: u,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   func() io.Reader { return strings.NewReader(form) }, Length: int64(len(form)),
	})
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusOK {
		return "", s.refused(a, now)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || answer.AccessToken == "" {
		return "", shield.Errorf(shield.StoreFailed, "", "%s: the answer has no access_token", s.client.Place)
	}
	s.value, s.until = answer.AccessToken, now.Add(time.Duration(answer.ExpiresIn)*time.Second-tokenMargin)
	return s.value, nil
}

// skewLimit is less than what the service allows.
const skewLimit = 4 * time.Minute

func (s *tokenSource) refused(a *rest.Answer, now time.Time) error {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(a.Body, &answer) // not all answers have it
	code := shield.Unauthorized
	if c := rest.StatusCode(a.Status); c == shield.Unavailable {
		code = c
	}
	text := a.Words(answer.Error, answer.Description)
	if skew := rest.ClockSkew(a.Header, now, skewLimit); skew != "" {
		text += "; " + skew
	}
	return &shield.Error{Code: code, Message: fmt.Sprintf("%s: no token for %s: %s", s.client.Place, s.account.ClientEmail, text)}
}
