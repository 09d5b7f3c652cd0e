package catalog_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

func TestReseal(t *testing.T) {
	db, ctx := mustOpen(t, filepath.Join(t.TempDir(), "shield.db")), t.Context()
	const targets = 450 // more than a batch
	for i := range targets {
		n := newTarget(fmt.Sprintf("t%03d", i))
		n.Endpoint = shield.Endpoint(fmt.Sprintf(`{"password":{"$sealed":"old:%d"}}`, i))
		if i%2 == 1 {
			n.Endpoint = shield.Endpoint(`{"password":"$sealed old:1"}`) // no secret at all
		}
		if err := db.CreateTarget(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	one, err := db.Target(ctx, "t000")
	if err != nil {
		t.Fatal(err)
	}
	store := &shield.Store{Meta: shield.Meta{Name: "s"}, Plugin: "fs", Endpoint: one.Endpoint}
	if err := db.CreateStore(ctx, store); err != nil {
		t.Fatal(err)
	}
	task := &shield.Task{Owner: "ann", Op: shield.OpBackup, Target: one.UUID, TargetPlugin: "fs", TargetEndpoint: one.Endpoint,
		Store: store.UUID, StorePlugin: "fs", StoreEndpoint: store.Endpoint, Archive: "11111111-1111-4111-8111-111111111111", Key: "k", Retention: 3600}
	if err := db.CreateTask(ctx, task); err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	reseal := func(row string, e shield.Endpoint) (shield.Endpoint, bool, error) {
		rows[row] = true
		fresh := strings.Replace(string(e), `{"$sealed":"old:`, `{"$sealed":"new:`, 1)
		if row == one.UUID && rows["edit"] { // somebody else is faster
			delete(rows, "edit")
			edit, err := db.Target(ctx, "t000")
			if err != nil {
				return nil, false, err
			}
			edit.Endpoint = shield.Endpoint(`{"password":{"$sealed":"new:other"}}`)
			if err := db.UpdateTarget(ctx, edit); err != nil {
				return nil, false, err
			}
		}
		return shield.Endpoint(fresh), fresh != string(e), nil
	}
	rows["edit"] = true
	n, err := db.Reseal(ctx, reseal)
	if err != nil || n != targets/2-1+3 {
		t.Errorf("%d endpoints are sealed anew, %v; want %d", n, err, targets/2-1+3)
	}
	if !rows[one.UUID] || !rows[store.UUID] {
		t.Error("an endpoint is not sealed for its row")
	}
	if n, err := db.Reseal(ctx, reseal); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	for name, want := range map[string]string{"t000": `"new:other"`, "t002": `"new:2"`, "t001": `"$sealed old:1"`, "t448": `"new:448"`} {
		if n, err := db.Target(ctx, name); err != nil || !strings.Contains(string(n.Endpoint), want) {
			t.Errorf("%s has %s, %v, want %s", name, n.Endpoint, err, want)
		}
	}
	got, err := db.Task(ctx, task.UUID)
	if err != nil || !strings.Contains(string(got.TargetEndpoint)+string(got.StoreEndpoint), `"new:0"`) || strings.Contains(string(got.TargetEndpoint)+string(got.StoreEndpoint), "old:") {
		t.Errorf("the task has %s and %s, %v", got.TargetEndpoint, got.StoreEndpoint, err)
	}
	broken := errors.New("no key")
	_, err = db.Reseal(ctx, func(string, shield.Endpoint) (shield.Endpoint, bool, error) { return nil, false, broken })
	if !errors.Is(err, broken) {
		t.Errorf("an endpoint that cannot be opened: %v", err)
	}
}
