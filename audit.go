package shield

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode"
)

// An AuditEntry is one line of the audit log: who did what, from where, and
// what came of it. Each holds the hash of the one before, so that none can be
// changed, left out or put in without its being seen.
type AuditEntry struct {
	ID     int64     `json:"id"` // 1 for the first, then one more each
	At     time.Time `json:"at"` // to the millisecond
	Who    string    `json:"who"`
	From   string    `json:"from"`   // address
	Action string    `json:"action"` // the name of an operation, like "createTarget"
	Object string    `json:"object"` // what it was done to: a kind, a name, a UUID
	Result string    `json:"result"` // AuditDone, or the code of the error
	Before string    `json:"before"` // Sum of the entry before; empty for the first
	Sum    string    `json:"sum"`    // see Seal
}

// AuditDone is the result of what was done.
const AuditDone = "done"

// clean makes text of each field that canonical JSON writes in one way only.
func (e *AuditEntry) clean() {
	for _, field := range []*string{&e.Who, &e.From, &e.Action, &e.Object, &e.Result} {
		*field = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
				return unicode.ReplacementChar
			}
			return r
		}, strings.ToValidUTF8(*field, string(unicode.ReplacementChar)))
	}
	e.At = e.At.UTC().Truncate(time.Millisecond)
}

// Seal makes e the entry that follows before, nil for the first of all. Its
// Sum is the hexadecimal SHA-256 of the Sum of the one before, as text,
// followed by e as canonical JSON (RFC 8785) without the members before and
// sum: members in the order of their names, no white space, the time as
// 2006-01-02T15:04:05.000Z.
func (e *AuditEntry) Seal(before *AuditEntry) {
	e.ID, e.Before = 1, ""
	if before != nil {
		e.ID, e.Before = before.ID+1, before.Sum
	}
	e.clean()
	e.Sum = e.sum()
}

func (e *AuditEntry) sum() string {
	var text bytes.Buffer
	text.WriteString(e.Before)
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(struct { // in the order of names
		Action string `json:"action"`
		At     string `json:"at"`
		From   string `json:"from"`
		ID     int64  `json:"id"`
		Object string `json:"object"`
		Result string `json:"result"`
		Who    string `json:"who"`
	}{e.Action, e.At.UTC().Format("2006-01-02T15:04:05.000Z"), e.From, e.ID, e.Object, e.Result, e.Who})
	sum := sha256.Sum256(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	return hex.EncodeToString(sum[:])
}

// Follows returns Corrupt if e is not the entry that was sealed behind before,
// nil for the first of all.
func (e *AuditEntry) Follows(before *AuditEntry) error {
	want, sum := int64(1), ""
	if before != nil {
		want, sum = before.ID+1, before.Sum
	}
	switch {
	case e.ID != want:
		return Errorf(Corrupt, "", "audit entry %d is missing: %d comes in its place", want, e.ID)
	case e.Before != sum:
		return Errorf(Corrupt, "", "audit entry %d was not written behind the entry before it as that is now", e.ID)
	case e.Sum != e.sum():
		return Errorf(Corrupt, "", "audit entry %d was changed: its content does not have its sum", e.ID)
	}
	return nil
}

// An AuditFilter narrows a list of the audit log. Zero fields do not filter.
type AuditFilter struct {
	// Behind, if not nil, wants the entries with greater IDs, the oldest
	// first; else the newest comes first.
	Behind *int64
	Who    string // exact
	After  time.Time
	Before time.Time
	Limit  int
}

// AuditService keeps the audit log.
type AuditService interface {
	// Audit seals e behind the newest entry. It sets the time unless given.
	Audit(ctx context.Context, e *AuditEntry) error
	AuditLog(ctx context.Context, f AuditFilter) ([]*AuditEntry, error)
}

// A Deed is what a request is about to do, on its way to the audit log. A
// catalog that is called with a context of WithDeed writes it in the
// transaction of the first change that the call makes, as done. A Deed is
// safe for concurrent use.
type Deed struct {
	mu       sync.Mutex
	entry    AuditEntry
	object   string
	recorded bool
}

// NewDeed returns a deed of which who, from and action are known, and what the
// request names as its object.
func NewDeed(e AuditEntry) *Deed { return &Deed{entry: e} }

// About says what the deed was done to, better than the request could.
func (d *Deed) About(object string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.object = object
}

// By says who did it where that is known only later.
func (d *Deed) By(who string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entry.Who = who
}

// Entry returns the entry that says that the deed was done, and nil if one
// was written already.
func (d *Deed) Entry() *AuditEntry {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recorded {
		return nil
	}
	return d.made(AuditDone)
}

// Failed returns the entry that says what came of the deed, whether or not one
// was written already.
func (d *Deed) Failed(c Code) *AuditEntry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.made(string(c))
}

func (d *Deed) made(result string) *AuditEntry {
	e := d.entry
	e.Result = result
	if d.object != "" {
		e.Object = d.object
	}
	return &e
}

// Recorded notes that the deed is in the audit log.
func (d *Deed) Recorded() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recorded = true
}

type deedKey struct{}

// WithDeed returns a context in which a deed is done.
func WithDeed(ctx context.Context, d *Deed) context.Context {
	return context.WithValue(ctx, deedKey{}, d)
}

// DeedOf returns the deed that is done in a context, nil if there is none.
func DeedOf(ctx context.Context) *Deed {
	d, _ := ctx.Value(deedKey{}).(*Deed)
	return d
}
