package rabbitmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/shieldhq/shield"
)

// call sends a request to the management API and returns the answer, which is
// one of success. The path is escaped.
func (t *target) call(ctx context.Context, method, path string, body io.Reader, length int64) (*http.Response, error) {
	u := *t.base
	u.Path, u.RawPath = "", ""
	r, err := http.NewRequestWithContext(ctx, method, u.String()+strings.TrimSuffix(t.base.EscapedPath(), "/")+path, body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = length
	r.SetBasicAuth(t.Username, t.Password)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	x, err := t.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var known *shield.Error
		if errors.As(err, &known) {
			return nil, known
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, shield.Errorf(shield.Unavailable, "rabbitmq", "%s%s cannot be reached: %w", t.base.Host, path, err)
	}
	if x.StatusCode/100 == 2 {
		return x, nil
	}
	defer x.Body.Close()
	return nil, t.refused(path, x)
}

// refused says what an answer that is no success means.
func (t *target) refused(path string, x *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(x.Body, 4<<10))
	var answer struct {
		Reason json.RawMessage `json:"reason"`
	}
	_ = json.Unmarshal(text, &answer) // else there is no reason to show
	reason := strings.Trim(string(answer.Reason), `"`)
	if reason == "" {
		reason = http.StatusText(x.StatusCode)
	}
	code, hint := shield.TargetFailed, ""
	switch x.StatusCode {
	case http.StatusUnauthorized:
		code, hint = shield.Unauthorized, "; the user needs the right password and the tag administrator: rabbitmqctl set_user_tags "+t.Username+" administrator"
	case http.StatusForbidden:
		code, hint = shield.Forbidden, "; rabbitmqctl set_user_tags "+t.Username+" administrator"
	case http.StatusNotFound:
		code = shield.NotFound
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code = shield.Unavailable
	}
	if reason == "vhost_not_found" {
		code, hint = shield.NotFound, fmt.Sprintf("; there is no virtual host %q", t.Vhost)
	}
	if x.StatusCode/100 == 3 {
		hint = "; redirects are not followed: name the API itself"
	}
	return shield.Errorf(code, "rabbitmq", "%s%s answers %d: %s%s", t.base.Host, path, x.StatusCode, reason, hint)
}

// answerLimit bounds the answers that are decoded as a whole.
const answerLimit = 64 << 20

// get decodes an answer into v.
func (t *target) get(ctx context.Context, path string, v any) error {
	x, err := t.call(ctx, http.MethodGet, path, nil, 0)
	if err != nil {
		return err
	}
	defer x.Body.Close()
	text, err := io.ReadAll(io.LimitReader(x.Body, answerLimit+1))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return shield.Errorf(shield.Unavailable, "rabbitmq", "%s%s: the answer broke off: %w", t.base.Host, path, err)
	case len(text) > answerLimit:
		return shield.Errorf(shield.TargetFailed, "rabbitmq", "%s%s: the answer has more than %d bytes", t.base.Host, path, answerLimit)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return shield.Errorf(shield.TargetFailed, "rabbitmq", "%s%s is no management API of RabbitMQ: %w", t.base.Host, path, err)
	}
	return nil
}

// An overview is what the broker says of itself.
type overview struct {
	Version string           `json:"rabbitmq_version"`
	Totals  map[string]int64 `json:"object_totals"`
	Queued  struct {
		Messages int64 `json:"messages"`
	} `json:"queue_totals"`
}

func (t *target) overview(ctx context.Context) (overview, error) {
	var o overview
	if err := t.get(ctx, "/api/overview", &o); err != nil {
		return o, err
	}
	if o.Version == "" {
		return o, shield.Errorf(shield.TargetFailed, "rabbitmq", "%s is no management API of RabbitMQ: it tells no version", t.base.Host)
	}
	return o, nil
}

// definitionsPath is that of all definitions, or of those of a virtual host.
func (t *target) definitionsPath() string {
	if t.Vhost == "" {
		return "/api/definitions"
	}
	return "/api/definitions/" + url.PathEscape(t.Vhost)
}
