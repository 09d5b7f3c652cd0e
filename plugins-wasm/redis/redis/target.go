package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/redis/rdb"
)

// target is one Redis server.
type target struct {
	config
	log plugin.Log
}

var (
	_ plugin.Target    = (*target)(nil)
	_ plugin.Validator = (*target)(nil)
	_ plugin.Tester    = (*target)(nil)
	_ plugin.Prober    = (*target)(nil)
	_ plugin.Inspector = (*target)(nil)
)

// Validate has nothing to add: opening has looked.
func (t *target) Validate(context.Context) error { return nil }

// needs are the commands of each way, without which it cannot be used.
var needs = map[string][]string{ // never written to
	modeNetwork: {"psync", "replconf", "restore", "select", "info"},
	modeLocal:   {"bgsave", "config|get", "config|set", "info"},
}

// Test connects, and asks for the permissions that backup and restore need.
func (t *target) Test(ctx context.Context) error {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := t.ready(c); err != nil {
		return t.classify(ctx, err)
	}
	if err := t.permissions(c); err != nil {
		return t.classify(ctx, err)
	}
	if t.Mode == modeLocal {
		return t.classify(ctx, t.testFolder(c))
	}
	return nil
}

// permissions asks, from Redis 7 on, whether the user may run what is needed.
func (t *target) permissions(c *conn) error {
	name := t.Username
	if name == "" {
		name = "default"
	}
	var missing []string
	for _, command := range needs[t.Mode] {
		args := append([]string{"ACL", "DRYRUN", name}, example(command)...)
		answer, err := c.text(args...)
		var r refusal
		if errors.As(err, &r) {
			return nil // an older server, or one that does not let this user ask
		}
		if err != nil {
			return err
		}
		if answer != "OK" {
			missing = append(missing, "+"+command)
		}
	}
	if len(missing) > 0 {
		return shield.Errorf(shield.Forbidden, "redis.test", "user %s lacks permissions: ACL SETUSER %s %s", name, name, strings.Join(missing, " "))
	}
	return nil
}

// example returns a command with arguments that are enough of them.
func example(command string) []string {
	switch command {
	case "psync":
		return []string{"psync", "?", "-1"}
	case "restore":
		return []string{"restore", "k", "0", "v"}
	case "select":
		return []string{"select", "0"}
	case "replconf":
		return []string{"replconf", "ack", "0"}
	case "config|get":
		return []string{"config", "get", "dir"}
	case "config|set":
		return []string{"config", "set", "save", ""}
	}
	return []string{command}
}

// ready returns what the server says of itself, unless it cannot be used now.
func (t *target) ready(c *conn) (map[string]string, error) {
	m, err := c.info("server")
	if err != nil {
		return nil, err
	}
	p, err := c.info("persistence")
	if err != nil {
		return nil, err
	}
	if p["loading"] == "1" {
		return nil, shield.Errorf(shield.Unavailable, "redis", "%s is still loading its data", t.addr())
	}
	return m, nil
}

// Probe counts keys.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	var p plugin.Probe
	c, err := t.connect(ctx)
	if err != nil {
		return p, err
	}
	defer c.close()
	server, err := t.ready(c)
	if err != nil {
		return p, t.classify(ctx, err)
	}
	space, err := c.info("keyspace")
	if err != nil {
		return p, t.classify(ctx, err)
	}
	p.Versions = map[string]string{"server": product(server) + " " + server["redis_version"]}
	p.Counts = map[string]int64{"databases": int64(len(space)), "keys": countKeys(space)}
	return p, nil
}

func product(server map[string]string) string {
	if name := server["server_name"]; name != "" {
		return name // Valkey and others
	}
	return "Redis"
}

// countKeys adds up lines like "db0:keys=3,expires=1".
func countKeys(space map[string]string) int64 {
	var sum int64
	for _, line := range space {
		first, _, _ := strings.Cut(line, ",")
		n, _ := strconv.ParseInt(strings.TrimPrefix(first, "keys="), 10, 64)
		sum += n
	}
	return sum
}

// Inspect reads an RDB file to its end and compares its checksum.
func (t *target) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	seen, err := t.walk(ctx, r, true)
	if ctx.Err() != nil {
		return plugin.Probe{}, context.Cause(ctx)
	}
	if err != nil {
		return plugin.Probe{}, damaged("redis.inspect", err)
	}
	return seen.probe(), nil
}

// walk reads an RDB file to its end and counts what it holds. Of what is not
// known, and of all behind it, only the end is looked at, and the checksum
// where that is to be verified.
func (t *target) walk(ctx context.Context, r io.Reader, verify bool) (*census, error) {
	seen := &census{}
	d, err := rdb.NewDecoder(r, rdb.Options{Verify: verify})
	if err != nil {
		return seen, err
	}
	for {
		it, err := d.Next()
		if err != nil && errors.Is(err, rdb.ErrUnknown) {
			t.log(fmt.Sprintf("the structure of the rest is not looked at: %v", err))
			seen.partly = true
			return seen, d.Rest()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || it.Kind == rdb.End {
			return seen, err
		}
		seen.add(&it)
	}
}

// damaged says that a stream is not a whole RDB file.
func damaged(op string, err error) error {
	return shield.Errorf(shield.Corrupt, op, "the stream is not a whole RDB file: %w", err)
}

// A census counts what a file holds.
type census struct {
	keys, functions, largest int64
	databases                map[int64]bool
	last                     int64 // database of a key
	version                  string
	partly                   bool // there was something that is not known
}

func (c *census) add(it *rdb.Item) {
	switch it.Kind {
	case rdb.Key:
		if c.databases == nil {
			c.databases = map[int64]bool{}
		}
		if c.keys == 0 || it.DB != c.last {
			c.databases[it.DB], c.last = true, it.DB
		}
		c.keys++
		c.largest = max(c.largest, it.Size)
	case rdb.Function:
		c.functions++
	case rdb.Aux:
		if string(it.Key) == "redis-ver" || string(it.Key) == "valkey-ver" {
			c.version = string(it.Value)
		}
	}
}

func (c *census) probe() plugin.Probe {
	p := plugin.Probe{Counts: map[string]int64{"databases": int64(len(c.databases)), "keys": c.keys, "functions": c.functions}}
	if c.version != "" {
		p.Versions = map[string]string{"server": c.version}
	}
	return p
}
