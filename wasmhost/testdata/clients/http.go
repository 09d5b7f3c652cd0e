package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

// http uses net/http in both ways: with the requests made by the host, and
// over connections that the host has dialed.
func (c *clients) http() []step {
	var steps []step
	for name, t := range map[string]http.RoundTripper{"host": pdkhttp.Transport(), "dial": &http.Transport{DialContext: pdk.Dial, MaxConnsPerHost: 4}} {
		h := &webClient{c.URL, &http.Client{Transport: t}}
		steps = append(steps,
			step{name + ": get", h.get}, step{name + ": echo", h.echo}, step{name + ": together", h.together},
			step{name + ": timeout", h.timeout}, step{name + ": cancel", h.cancel}, step{name + ": closed early", h.early},
		)
	}
	return steps
}

type webClient struct {
	url  string
	http *http.Client
}

func (h *webClient) do(ctx context.Context, method, path string, body io.Reader) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, h.url+path, body)
	if err != nil {
		return "", err
	}
	answer, err := h.http.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return fmt.Sprintf("%d %s", answer.StatusCode, b), err
}

func (h *webClient) get(ctx context.Context) error {
	got, err := h.do(ctx, "GET", "/missing", nil)
	if err == nil && !strings.HasPrefix(got, "404 ") {
		err = fmt.Errorf("got %q", got)
	}
	return err
}

func (h *webClient) echo(ctx context.Context) error {
	body := strings.Repeat("0123456789abcdef", 1<<16)
	for _, r := range []io.Reader{strings.NewReader(body), io.MultiReader(strings.NewReader(body))} { // of known and unknown length
		got, err := h.do(ctx, "POST", "/echo", r)
		if err != nil || got != "200 "+body {
			return fmt.Errorf("got %d bytes, %w", len(got), err)
		}
	}
	return nil
}

func (h *webClient) together(ctx context.Context) error {
	return together(16, func(n int) error {
		body := bytes.Repeat([]byte{byte('a' + n)}, 100_000)
		got, err := h.do(ctx, "POST", "/echo", bytes.NewReader(body))
		if err == nil && got != "200 "+string(body) {
			err = fmt.Errorf("request %d got %d bytes", n, len(got))
		}
		return err
	})
}

func (h *webClient) timeout(ctx context.Context) error {
	impatient := &webClient{h.url, &http.Client{Transport: h.http.Transport, Timeout: 100 * time.Millisecond}}
	_, err := impatient.do(ctx, "GET", "/never", nil)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return fmt.Errorf("error is %v, want a timeout", err)
	}
	return nil
}

func (h *webClient) cancel(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := h.do(ctx, "GET", "/never", nil); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("error is %v, want that of the context", err)
	}
	return nil
}

// early closes a body before its end, which must not block.
func (h *webClient) early(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, "GET", h.url+"/endless", nil)
	if err != nil {
		return err
	}
	answer, err := h.http.Do(r)
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(answer.Body, make([]byte, 1000)); err != nil {
		return err
	}
	return answer.Body.Close()
}
