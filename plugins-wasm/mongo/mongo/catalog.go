package mongo

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// A collection is one that a backup takes.
type collection struct {
	db, name, kind string // "collection", "view" or "timeseries"
	uuid           string // changes if it is dropped and made anew
}

func (c collection) String() string { return c.db + "." + c.name }

// A source is a server, asked what it has.
type source struct {
	*conn
	version     tool.Version
	databases   []string
	collections []collection
}

// source connects and lists what a backup would take. It has to be closed.
func (t *target) source(ctx context.Context) (*source, error) {
	c, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &source{conn: c}
	if err := s.ask(ctx, t.Database); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

func (s *source) ask(ctx context.Context, only string) (err error) {
	if s.version, err = s.conn.version(ctx); err != nil {
		return err
	}
	answer, err := s.run(ctx, "admin", field{"listDatabases", int32(1)}, field{"nameOnly", true})
	if err != nil {
		return err
	}
	list, _ := answer["databases"].([]any)
	for _, d := range list {
		m, _ := d.(map[string]any)
		if name, _ := m["name"].(string); name == only || only == "" && !isOfServer(name) {
			s.databases = append(s.databases, name)
		}
	}
	sort.Strings(s.databases)
	if only != "" && len(s.databases) == 0 {
		return &shield.Error{Code: shield.NotFound, Field: "endpoint.mongo_database",
			Message: "is " + strconv.Quote(only) + ": there is no such database on " + s.where + ", or the user must not see it"}
	}
	for _, db := range s.databases {
		if err := s.list(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// version asks the server for its version.
func (c *conn) version(ctx context.Context) (tool.Version, error) {
	answer, err := c.run(ctx, "admin", field{"buildInfo", int32(1)})
	if err != nil {
		return tool.Version{}, err
	}
	text, _ := answer["version"].(string)
	v, ok := tool.ParseVersion(text)
	if !ok {
		return v, shield.Errorf(shield.TargetFailed, "", "%s says that its version is %q", c.where, text)
	}
	return v, nil
}

// list adds the collections of a database.
func (s *source) list(ctx context.Context, db string) error {
	docs, err := s.all(ctx, db, field{"listCollections", int32(1)}, field{"cursor", []field{}})
	if err != nil {
		return err
	}
	for _, d := range docs {
		x := collection{db: db}
		x.name, _ = d["name"].(string)
		x.kind, _ = d["type"].(string)
		if info, ok := d["info"].(map[string]any); ok {
			id, _ := info["uuid"].([]byte)
			x.uuid = string(id)
		}
		if !strings.HasPrefix(x.name, "system.") {
			s.collections = append(s.collections, x)
		}
	}
	sort.Slice(s.collections, func(a, b int) bool { return s.collections[a].String() < s.collections[b].String() })
	return nil
}

// Probe implements plugin.Prober. What servers keep count of is not counted
// again: it could take longer than the dump.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	s, err := t.source(ctx)
	if err != nil {
		return plugin.Probe{}, err
	}
	defer s.Close()
	v, err := tool.VersionOf(ctx, t.host, "mongodump")
	if err != nil {
		return plugin.Probe{}, err
	}
	counts := map[string]int64{"databases": int64(len(s.databases)), "collections": 0, "views": 0, "documents": 0, "indexes": 0}
	for _, x := range s.collections {
		if err := s.count(ctx, x, counts); err != nil {
			return plugin.Probe{}, err
		}
	}
	return plugin.Probe{Counts: counts, Versions: map[string]string{
		"server": "MongoDB " + s.version.Text, "tool": "mongodump " + v.Text,
	}}, nil
}

func (s *source) count(ctx context.Context, x collection, counts map[string]int64) error {
	if x.kind == "view" {
		counts["views"]++
		return nil
	}
	counts["collections"]++
	n, err := s.documents(ctx, x)
	if err != nil {
		return fmt.Errorf("%s: %w", x, err)
	}
	counts["documents"] += n
	if x.kind == "timeseries" {
		return nil
	}
	indexes, err := s.all(ctx, x.db, field{"listIndexes", x.name}, field{"cursor", []field{}})
	counts["indexes"] += int64(len(indexes))
	return err
}

// documents returns how many documents a collection has: as its statistics
// tell, of each shard, or as count does, which needs no more rights than
// reading and looks itself where there is no count to be had.
func (s *source) documents(ctx context.Context, x collection) (int64, error) {
	if x.kind != "timeseries" { // whose documents are in others
		parts, err := s.all(ctx, x.db, field{"aggregate", x.name}, field{"cursor", []field{}},
			field{"pipeline", []any{[]field{{"$collStats", []field{{"count", []field{}}}}}}})
		var total int64
		for _, p := range parts {
			n, _ := p["count"].(int64)
			total += n
		}
		if err == nil && total > 0 {
			return total, nil
		}
	}
	answer, err := s.run(ctx, x.db, field{"count", x.name})
	n, _ := answer["n"].(int64)
	return n, err
}

// checkPrivileges reports what the user lacks to read everything. Servers
// that do not tell are believed to allow all.
func (t *target) checkPrivileges(ctx context.Context, s *source) error {
	if t.User == "" {
		return nil
	}
	answer, err := s.run(ctx, "admin", field{"connectionStatus", int32(1)}, field{"showPrivileges", true})
	if err != nil {
		return nil // it may be missing, and is not what is needed itself
	}
	info, _ := answer["authInfo"].(map[string]any)
	privileges, _ := info["authenticatedUserPrivileges"].([]any)
	if len(privileges) == 0 {
		return nil
	}
	names := s.databases
	if t.Database == "" {
		names = append([]string{""}, names...)
	}
	for _, db := range names {
		if !mayFind(privileges, db) {
			return t.lack(db)
		}
	}
	return nil
}

// mayFind reports whether privileges allow to read all collections of a
// database; an empty name stands for all databases.
func mayFind(privileges []any, db string) bool {
	for _, p := range privileges {
		m, _ := p.(map[string]any)
		resource, _ := m["resource"].(map[string]any)
		actions, _ := m["actions"].([]any)
		anything, _ := resource["anyResource"].(bool)
		name, hasDB := resource["db"].(string)
		coll, _ := resource["collection"].(string)
		if !anything && (!hasDB || coll != "" || name != "" && name != db) {
			continue
		}
		for _, a := range actions {
			if a == "find" || a == "anyAction" {
				return true
			}
		}
	}
	return false
}

func (t *target) lack(db string) error {
	role, where := `{role: "read", db: "`+db+`"}`, "all collections of the database "+db
	if t.Database == "" {
		role, where = `{role: "backup", db: "admin"}`, "everything"
	}
	return shield.Errorf(shield.Forbidden, "", "the user %s may not read %s: db.getSiblingDB(%q).grantRolesToUser(%q, [%s]) gives it",
		t.User, where, t.authDB(), t.User, role)
}
