package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// Client calls the HTTP API. Its errors are *shield.Error with the code that
// the daemon gave, or Unavailable if the daemon could not be reached.
type Client struct {
	base  string
	token shield.Secret
	http  *http.Client
}

// NewClient returns a client of the daemon at base, like
// http://127.0.0.1:7643.
func NewClient(base string, token shield.Secret) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, shield.FieldErrorf("api", "%q is not the address of a daemon: a URL like http://127.0.0.1:7643 is wanted", base)
	}
	return &Client{base: strings.TrimSuffix(base, "/"), token: token, http: &http.Client{}}, nil
}

// Do sends a request with in, if not nil, as its JSON body, and decodes the
// answer into out, if not nil.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return shield.Errorf(shield.Invalid, "", "%w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return shield.Errorf(shield.Unavailable, "", "the daemon at %s cannot be reached: %w", c.base, err)
	}
	defer resp.Body.Close()
	return c.answer(resp, out)
}

func (c *Client) answer(resp *http.Response, out any) error {
	if resp.StatusCode >= 300 {
		return problemOf(resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return shield.Errorf(shield.Unavailable, "", "the answer of %s was cut off or is no JSON: %w", c.base, err)
	}
	return nil
}

// problemOf rebuilds the error that the daemon sent.
func problemOf(resp *http.Response) error {
	var p problem
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(b, &p) != nil || p.Code == "" {
		return shield.Errorf(shield.Unavailable, "", "this is no shield daemon: it answered %s", resp.Status)
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

// List returns those that the query wants.
func (n NounClient[T]) List(ctx context.Context, q url.Values) ([]*T, error) {
	path := n.path
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	var out []*T
	return out, n.c.Do(ctx, http.MethodGet, path, nil, &out)
}

// Edit changes the fields in patch and returns the result.
func (n NounClient[T]) Edit(ctx context.Context, ref string, patch map[string]any) (*T, error) {
	out := new(T)
	return out, n.c.Do(ctx, http.MethodPatch, n.at(ref), patch, out)
}

// Delete removes the one called ref.
func (n NounClient[T]) Delete(ctx context.Context, ref string) error {
	return n.c.Do(ctx, http.MethodDelete, n.at(ref), nil, nil)
}

func (n NounClient[T]) at(ref string) string { return n.path + "/" + url.PathEscape(ref) }

// task sends a request whose answer is a task.
func (c *Client) task(ctx context.Context, method, path string, in any) (*shield.Task, error) {
	t := new(shield.Task)
	return t, c.Do(ctx, method, path, in, t)
}

// RunJob starts a backup.
func (c *Client) RunJob(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(ref)+"/run", nil)
}

// TestStore starts a test of a store.
func (c *Client) TestStore(ctx context.Context, ref string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, "/v1/stores/"+url.PathEscape(ref)+"/test", nil)
}

// Restore starts a restore of an archive, to its own target if target is
// empty.
func (c *Client) Restore(ctx context.Context, archive, target string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, "/v1/archives/"+url.PathEscape(archive)+"/restore", RestoreRequest{Target: target})
}

// PurgeArchive starts the removal of an archive from its store.
func (c *Client) PurgeArchive(ctx context.Context, archive string) (*shield.Task, error) {
	return c.task(ctx, http.MethodDelete, "/v1/archives/"+url.PathEscape(archive), nil)
}

// CancelTask asks for the end of a task.
func (c *Client) CancelTask(ctx context.Context, uuid string) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, "/v1/tasks/"+url.PathEscape(uuid)+"/cancel", nil)
}

// Status returns the state of the daemon.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	out := new(Status)
	return out, c.Do(ctx, http.MethodGet, "/v1/status", nil, out)
}

// Plugins returns the plugins of the daemon.
func (c *Client) Plugins(ctx context.Context) ([]PluginAnswer, error) {
	var out []PluginAnswer
	return out, c.Do(ctx, http.MethodGet, "/v1/plugins", nil, &out)
}

// Plugin describes one plugin of the daemon.
func (c *Client) Plugin(ctx context.Context, name string) (*PluginAnswer, error) {
	out := new(PluginAnswer)
	return out, c.Do(ctx, http.MethodGet, "/v1/plugins/"+url.PathEscape(name), nil, out)
}

// Follow returns a task and its log from line after on, waiting for news at
// most so long, in whole seconds.
func (c *Client) Follow(ctx context.Context, uuid string, after int, wait time.Duration) (*FollowAnswer, error) {
	q := url.Values{"after": {strconv.Itoa(after)}, "wait": {strconv.Itoa(int(wait.Seconds()))}}
	out := new(FollowAnswer)
	return out, c.Do(ctx, http.MethodGet, fmt.Sprintf("/v1/tasks/%s/follow?%s", url.PathEscape(uuid), q.Encode()), nil, out)
}

// Wait follows a task to its end, calling seen at each news.
func (c *Client) Wait(ctx context.Context, uuid string, seen func(*FollowAnswer)) (*shield.Task, error) {
	after := 0
	for {
		a, err := c.Follow(ctx, uuid, after, 10*time.Second)
		if err != nil {
			return nil, err
		}
		seen(a)
		after = a.Next
		if a.Task.Status.Final() {
			return a.Task, nil
		}
	}
}
