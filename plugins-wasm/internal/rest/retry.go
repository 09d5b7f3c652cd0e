package rest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// The waits between tries: the first, the longest that we choose, and the
// longest that a service may ask for.
const (
	firstWait   = 200 * time.Millisecond
	longestWait = 20 * time.Second
	longestAsk  = 2 * time.Minute
)

// passing reports whether a status says that trying again may help.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Passing reports whether an error is one after which trying again may help.
func Passing(err error) bool {
	return (errors.Is(err, shield.Unavailable) || errors.Is(err, shield.TimedOut)) && !isCertificate(err)
}

// StatusCode classifies a status that nothing more is known of.
func StatusCode(status int) shield.Code {
	switch {
	case passing(status):
		return shield.Unavailable
	case status == http.StatusUnauthorized:
		return shield.Unauthorized
	case status == http.StatusForbidden:
		return shield.Forbidden
	case status == http.StatusNotFound:
		return shield.NotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return shield.Conflict
	}
	return shield.StoreFailed
}

// wait sleeps before the next try. A context that ends meanwhile is the error.
func (c *Client) wait(ctx context.Context, op string, try int, a *Answer, err error) error {
	pause := Backoff(try, rand.Float64())
	if a != nil {
		pause = max(pause, RetryAfter(a.Header, time.Now()))
	}
	why := ""
	if err != nil {
		why = err.Error()
	} else {
		why = fmt.Sprintf("%s: %s: status %d", c.Place, op, a.Status)
	}
	if c.Log != nil {
		c.Log(fmt.Sprintf("%s; trying again in %s (%d of %d)", why, pause.Round(time.Millisecond), try+1, c.Retries))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Pause waits before trying again what is not one request: for the try-th
// time, after the error, and the answer if there was one.
func (c *Client) Pause(ctx context.Context, op string, try int, a *Answer, err error) error {
	return c.wait(ctx, op, try, a, err)
}

// Backoff returns how long to wait before a try: twice as long each time, and
// between half of that and all of it, as chance (0 to 1) has it, so that many
// who failed together do not come back together.
func Backoff(try int, chance float64) time.Duration {
	wait := longestWait
	if try < 10 {
		wait = min(firstWait<<try, longestWait)
	}
	return wait/2 + time.Duration(chance*float64(wait/2))
}

// RetryAfter returns how long the header Retry-After asks to wait, in seconds
// or until a time, two minutes at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestAsk)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), longestAsk)
	}
	return 0
}

// grace is how long a request that makes something goes on after its caller
// has given up. Broken off, it might be carried out all the same, after
// everything else was cleaned up.
const grace = 5 * time.Second

// Grace returns a context that is done some seconds after ctx is.
func Grace(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(late, func() { timer.Stop() })
	})
	return late, func() {
		stop()
		cancel(nil)
	}
}
