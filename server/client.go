package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Client calls the HTTP API. Its errors are *shield.Error with the code that
// the daemon gave, or Unavailable if the daemon could not be reached.
type Client struct {
	base  string
	token shield.Secret
	// cookie is that of a session, which takes the place of the token.
	cookie shield.Secret
	http   *http.Client
	slow   *http.Client // for what the daemon has to compile first
}

// NewClient returns a client of the daemon at base, like
// http://127.0.0.1:7643.
func NewClient(base string, token shield.Secret) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, shield.FieldErrorf("api", "%q is not the address of a daemon: a URL like http://127.0.0.1:7643 is wanted", base)
	}
	if strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, shield.FieldErrorf("token", "has characters that no token has: is it the right file?")
	}
	return &Client{
		base: strings.TrimSuffix(base, "/"), token: token,
		http: patient(answerTimeout), slow: patient(compileTimeout),
	}, nil
}

// Trust makes the client trust the certificates in a PEM file beside those that
// the system trusts.
func (c *Client) Trust(pem []byte) error {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return shield.FieldErrorf("ca", "has no certificate in PEM")
	}
	for _, h := range []*http.Client{c.http, c.slow} {
		h.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return nil
}

// How long a daemon may take to answer. A plugin may be asked to check an
// endpoint meanwhile, or a large module be compiled on a busy machine.
const (
	answerTimeout  = 2 * time.Minute
	compileTimeout = 15 * time.Minute
)

// patient returns a client that waits so long for an answer to begin.
func patient(limit time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = limit
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Do sends a request with in, if not nil, as its JSON body, and decodes the
// answer into out, if not nil.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	if in == nil {
		return c.request(ctx, c.http, method, path, "", nil, out)
	}
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.request(ctx, c.http, method, path, "application/json", b, out)
}

// send posts a module.
func (c *Client) send(ctx context.Context, path string, module []byte, out any) error {
	return c.request(ctx, c.slow, http.MethodPost, path, "application/wasm", module, out)
}

func (c *Client) request(ctx context.Context, h *http.Client, method, path, contentType string, body []byte, out any) error {
	_, err := c.roundTrip(ctx, h, method, path, contentType, body, out)
	return err
}

// roundTrip is a request that returns the header of its answer, too.
func (c *Client) roundTrip(ctx context.Context, h *http.Client, method, path, contentType string, body []byte, out any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, shield.Errorf(shield.Invalid, "", "%w", err)
	}
	c.identify(req)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	return resp.Header, c.answer(ctx, resp, out)
}

// unanswered is the error of a request that got no answer, or half of one.
func (c *Client) unanswered(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return shield.Errorf(shield.TimedOut, "", "the daemon at %s has not answered in time: %w", c.base, err)
	case ctx.Err() != nil:
		return shield.Errorf(shield.Canceled, "", "canceled: %w", err)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the address is named once
	}
	return shield.Errorf(shield.Unavailable, "", "the daemon at %s cannot be reached: %w", c.base, err)
}

func (c *Client) answer(ctx context.Context, resp *http.Response, out any) error {
	if resp.StatusCode >= 300 {
		return problemOf(resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		if ctx.Err() != nil {
			return c.unanswered(ctx, err)
		}
		return shield.Errorf(shield.Unavailable, "", "the answer of %s was cut off or is no JSON: %w", c.base, err)
	}
	return nil
}

// problemOf rebuilds the error that the daemon sent.
func problemOf(resp *http.Response) error {
	var p problem
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(b, &p) != nil || p.Code == "" {
		text := "this is no shield daemon: it answered " + resp.Status
		if to := resp.Header.Get("Location"); to != "" {
			text += ", and points to " + to
		}
		return &shield.Error{Code: shield.Unavailable, Message: text}
	}
	return &shield.Error{Code: p.Code, Field: p.Field, Message: p.Detail}
}

// A NounClient calls the routes of one noun.
type NounClient[T any] struct {
	c    *Client
	path string
}

// Targets returns the client of targets.
func (c *Client) Targets() NounClient[shield.Target] {
	return NounClient[shield.Target]{c, "/v1/targets"}
}

// Stores returns the client of stores.
func (c *Client) Stores() NounClient[shield.Store] {
	return NounClient[shield.Store]{c, "/v1/stores"}
}

// Schedules returns the client of schedules.
func (c *Client) Schedules() NounClient[shield.Schedule] {
	return NounClient[shield.Schedule]{c, "/v1/schedules"}
}

// Policies returns the client of retention policies.
func (c *Client) Policies() NounClient[shield.Policy] {
	return NounClient[shield.Policy]{c, "/v1/retention"}
}

// Jobs returns the client of jobs.
func (c *Client) Jobs() NounClient[shield.Job] { return NounClient[shield.Job]{c, "/v1/jobs"} }

// Archives returns the client of archives, which knows List, Get and Edit.
func (c *Client) Archives() NounClient[shield.Archive] {
	return NounClient[shield.Archive]{c, "/v1/archives"}
}

// Tasks returns the client of tasks, which knows List and Get.
func (c *Client) Tasks() NounClient[shield.Task] { return NounClient[shield.Task]{c, "/v1/tasks"} }

// Runs returns the client of runs, which knows List.
func (c *Client) Runs() NounClient[shield.Run] { return NounClient[shield.Run]{c, "/v1/runs"} }

// Objects returns the client of the noun at a path, like /v1/jobs, whose things
// are JSON objects.
func (c *Client) Objects(path string) NounClient[map[string]any] {
	return NounClient[map[string]any]{c, path}
}

// Create makes one and returns it as the daemon has it.
func (n NounClient[T]) Create(ctx context.Context, v *T) (*T, error) {
	out := new(T)
	return out, n.c.Do(ctx, http.MethodPost, n.path, v, out)
}

// Get returns the one called ref.
func (n NounClient[T]) Get(ctx context.Context, ref string) (*T, error) {
	out := new(T)
	return out, n.c.Do(ctx, http.MethodGet, n.at(ref), nil, out)
}

// List returns those that the query wants. Unless that has a limit, they come
// page by page.
func (n NounClient[T]) List(ctx context.Context, q url.Values) ([]*T, error) {
	return list[T](ctx, n.c, n.path, q)
}

// Edit changes the fields in patch and returns the result.
func (n NounClient[T]) Edit(ctx context.Context, ref string, patch map[string]any) (*T, error) {
	out := new(T)
	return out, n.c.Do(ctx, http.MethodPatch, n.at(ref), patch, out)
}

// Replace replaces the one called ref by v, if it still has the version of v,
// and returns the result.
func (n NounClient[T]) Replace(ctx context.Context, ref string, v *T) (*T, error) {
	out := new(T)
	return out, n.c.Do(ctx, http.MethodPut, n.at(ref), v, out)
}

// Delete removes the one called ref.
func (n NounClient[T]) Delete(ctx context.Context, ref string) error {
	return n.c.Do(ctx, http.MethodDelete, n.at(ref), nil, nil)
}

func (n NounClient[T]) at(ref string) string { return at(n.path, ref) }

// at is the path of one of a kind. Names may hold anything: those of dots
// only would be taken for steps in the path.
func at(path, ref string, more ...string) string {
	segment := url.PathEscape(ref)
	if ref == "." || ref == ".." {
		segment = strings.ReplaceAll(ref, ".", "%2E")
	}
	return strings.Join(append([]string{path, segment}, more...), "/")
}

// task sends a request whose answer is a task.
func (c *Client) task(ctx context.Context, method, path string, in any) (*shield.Task, error) {
	t := new(shield.Task)
	return t, c.Do(ctx, method, path, in, t)
}

// RunJob starts a backup.
func (c *Client) RunJob(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/jobs", ref, "run"), nil)
}

// PreviewPolicy returns what a retention policy makes of the archives of all
// jobs that are under it, the newest of each job first.
func (c *Client) PreviewPolicy(ctx context.Context, ref string) ([]Preview, error) {
	var out []Preview
	return out, c.Do(ctx, http.MethodGet, at("/v1/retention", ref, "preview"), nil, &out)
}

// PreviewJob returns what its retention policy makes of a job's archives.
func (c *Client) PreviewJob(ctx context.Context, ref string) ([]Preview, error) {
	var out []Preview
	return out, c.Do(ctx, http.MethodGet, at("/v1/jobs", ref, "retention"), nil, &out)
}

// Events returns what happened, the newest first.
func (c *Client) Events(ctx context.Context, query url.Values) ([]*shield.Event, error) {
	return list[shield.Event](ctx, c, "/v1/events", query)
}

// TestStore starts a test of a store.
func (c *Client) TestStore(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/stores", ref, "test"), nil)
}

// CheckStore starts the conformance suite on a store.
func (c *Client) CheckStore(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/stores", ref, "check"), nil)
}

// ReconcileStore starts the comparison of a store with the catalog, which
// removes orphans if that is wanted.
func (c *Client) ReconcileStore(ctx context.Context, ref string, remove bool) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/stores", ref, "reconcile"), ReconcileRequest{Remove: remove})
}

// TestAgent starts a task that asks an agent what it is and what it can.
func (c *Client) TestAgent(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/agents", ref, "test"), nil)
}

// TestTarget starts a test of a target.
func (c *Client) TestTarget(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/targets", ref, "test"), nil)
}

// ProbeTarget starts a probe of a target.
func (c *Client) ProbeTarget(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/targets", ref, "probe"), nil)
}

// VerifyArchive starts a verification of an archive: it is read and compared
// with what the catalog knows, without a target.
func (c *Client) VerifyArchive(ctx context.Context, archive string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/archives", archive, "verify"), nil)
}

// PurgeArchive starts the removal of an archive from its store.
func (c *Client) PurgeArchive(ctx context.Context, archive string) (*shield.Task, error) {
	return c.task(ctx, http.MethodDelete, at("/v1/archives", archive), nil)
}

// AcknowledgeArchive says that a suspicious archive is fine, with a note that
// may be empty.
func (c *Client) AcknowledgeArchive(ctx context.Context, archive, note string) (*shield.Archive, error) {
	out := new(shield.Archive)
	return out, c.Do(ctx, http.MethodPost, at("/v1/archives", archive, "acknowledge"), AcknowledgeRequest{Note: note}, out)
}

// CancelTask asks for the end of a task.
func (c *Client) CancelTask(ctx context.Context, uuid string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/tasks", uuid, "cancel"), nil)
}

// Status returns the state of the daemon.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	out := new(Status)
	return out, c.Do(ctx, http.MethodGet, "/v1/status", nil, out)
}

// Plugins returns the plugins of the daemon.
func (c *Client) Plugins(ctx context.Context) ([]plugin.Offer, error) {
	var out []plugin.Offer
	return out, c.Do(ctx, http.MethodGet, "/v1/plugins", nil, &out)
}

// Plugin describes one plugin of the daemon.
func (c *Client) Plugin(ctx context.Context, name string) (*plugin.Offer, error) {
	out := new(plugin.Offer)
	return out, c.Do(ctx, http.MethodGet, at("/v1/plugins", name), nil, out)
}

// Follow returns a task and its log from line after on, waiting for news at
// most so long, in whole seconds.
func (c *Client) Follow(ctx context.Context, uuid string, after int, wait time.Duration) (*FollowAnswer, error) {
	q := url.Values{"after": {strconv.Itoa(after)}, "wait": {strconv.Itoa(int(wait.Seconds()))}}
	out := new(FollowAnswer)
	return out, c.Do(ctx, http.MethodGet, at("/v1/tasks", uuid, "follow")+"?"+q.Encode(), nil, out)
}

// Wait follows a task to its end, or until it waits for a store's lock, calling
// seen at each news.
func (c *Client) Wait(ctx context.Context, uuid string, seen func(*FollowAnswer)) (*shield.Task, error) {
	after := 0
	for {
		asked := time.Now()
		a, err := c.Follow(ctx, uuid, after, 10*time.Second)
		if err != nil {
			return nil, err
		}
		seen(a)
		if after == a.Next && time.Since(asked) < followPause {
			pause(ctx, followPause) // a daemon that cannot wait for news is not asked all the time
		}
		after = a.Next
		if a.Task.Status.Final() || a.Task.Waits() {
			return a.Task, nil
		}
	}
}

// followPause is how long Wait waits after an answer that came at once and
// had no new line.
const followPause = 10 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
