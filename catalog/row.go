package catalog

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// A stamp is a time as it is stored: milliseconds, NULL for the zero time.
type stamp struct{ time.Time }

// Value implements driver.Valuer.
func (s stamp) Value() (driver.Value, error) {
	if s.IsZero() {
		return nil, nil
	}
	return s.UnixMilli(), nil
}

// Scan implements sql.Scanner.
func (s *stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		s.Time = time.Time{}
	case int64:
		s.Time = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("a time is stored as %T", src)
	}
	return nil
}

// texts is a list of texts as it is stored: JSON. An empty one is read as nil.
type texts struct{ list []string }

// Value implements driver.Valuer.
func (t texts) Value() (driver.Value, error) {
	if len(t.list) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(t.list)
	return string(b), err
}

// Scan implements sql.Scanner.
func (t *texts) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a list of texts is stored as %T", src)
	}
	t.list = nil
	if text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), &t.list)
}

// A document is a value that is stored as JSON, an empty one as no text.
type document[T any] struct{ V T }

// Value implements driver.Valuer.
func (d document[T]) Value() (driver.Value, error) {
	text, err := json.Marshal(d.V)
	if err != nil {
		return nil, err
	}
	if s := string(text); s != "null" && s != "{}" && s != "[]" {
		return s, nil
	}
	return "", nil
}

// Scan implements sql.Scanner.
func (d *document[T]) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a document is stored as %T", src)
	}
	d.V = *new(T)
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), &d.V)
}

// whole cuts t to what can be stored.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func stampOf(t time.Time) stamp { return stamp{whole(t)} }

// floorMilli and ceilMilli compare any time with stored ones: stored <= t is
// stored <= floor(t), and stored < t is stored < ceil(t).
func floorMilli(t time.Time) int64 { return t.UnixMilli() }

func ceilMilli(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// metaRow is shield.Meta as a row has it.
type metaRow struct {
	ID        int64  `bun:"id,pk,autoincrement"`
	UUID      string `bun:"uuid"`
	Name      string `bun:"name"`
	Summary   string `bun:"summary"`
	Version   int64  `bun:"version"`
	CreatedAt stamp  `bun:"created_at"`
	UpdatedAt stamp  `bun:"updated_at"`
}

func metaToRow(m shield.Meta) metaRow {
	return metaRow{
		UUID: m.UUID, Name: m.Name, Summary: m.Summary, Version: m.Version,
		CreatedAt: stampOf(m.CreatedAt), UpdatedAt: stampOf(m.UpdatedAt),
	}
}

func (r metaRow) meta() shield.Meta {
	return shield.Meta{
		UUID: r.UUID, Name: r.Name, Summary: r.Summary, Version: r.Version,
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
}

// isText reports whether s comes back from the database as it went in.
func isText(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// clean makes text of s, which comes from a program: a log with a broken byte
// in it must not keep a task from ending.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// checkRow refuses text that would come back different. The value is not
// shown: it may be a secret.
func checkRow(tx bun.Tx, row any) error {
	v := reflect.Indirect(reflect.ValueOf(row))
	for _, f := range tx.Dialect().Tables().Get(v.Type()).Fields {
		if fv := f.Value(v); fv.Kind() == reflect.String && !isText(fv.String()) {
			return shield.FieldErrorf(f.Name, "is not text: it must be valid UTF-8 without NUL")
		}
	}
	return nil
}

func insert(ctx context.Context, tx bun.Tx, row any) error {
	if err := checkRow(tx, row); err != nil {
		return err
	}
	_, err := tx.NewInsert().Model(row).Exec(ctx)
	return err
}

// update writes all columns of row but those that never change.
func update(ctx context.Context, tx bun.Tx, row any, uuid string) error {
	if err := checkRow(tx, row); err != nil {
		return err
	}
	_, err := tx.NewUpdate().Model(row).ExcludeColumn("id", "uuid").Where("uuid = ?", uuid).Exec(ctx)
	return err
}

// newUUID returns given, or a random one if there is none.
func newUUID(given string) (string, error) {
	if given == "" {
		return uuid.NewString(), nil
	}
	if !shield.IsUUID(given) {
		return "", shield.FieldErrorf("uuid", "is %.100q: a UUID in lower case is wanted, or nothing to have one made", given)
	}
	return given, nil
}
