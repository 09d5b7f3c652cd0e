package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Delete removes a blob with its snapshots, or, if there is none, the blocks
// that an unfinished Put has staged.
func (s *store) Delete(ctx context.Context, key string) error {
	const op = "azure.purge"
	if err := rest.CheckKey(key); err != nil {
		return err
	}
	object := s.prefix + key
	p, err := s.properties(ctx, object)
	if err != nil {
		return rest.WithOp(op, err)
	}
	if p == nil {
		return rest.WithOp(op, s.deleteBlocks(ctx, object))
	}
	if err := s.kept(object, p, time.Now()); err != nil {
		return rest.WithOp(op, err)
	}
	return rest.WithOp(op, s.erase(ctx, object, p))
}

// kept returns Locked if a blob's own policy keeps it: with versions, deleting
// it would succeed, and hide it without freeing anything.
func (s *store) kept(object string, properties http.Header, now time.Time) error {
	if properties.Get("x-ms-legal-hold") == "true" {
		return &shield.Error{Code: shield.Locked, Message: fmt.Sprintf("%s: %s is under a legal hold, which ends when somebody lifts it", s.account.base, object)}
	}
	if until := policyEnd(properties); until.After(now) {
		return s.locked(object, until)
	}
	return nil
}

func (s *store) locked(object string, until time.Time) error {
	return &shield.Error{
		Code: shield.Locked, Until: until,
		Message: fmt.Sprintf("%s: an immutability policy keeps %s until %s", s.account.base, object, until.Format(time.RFC3339)),
	}
}

// erase removes the blob that has these properties, with its snapshots, and
// the version that the service keeps of it where it does.
// https://learn.microsoft.com/rest/api/storageservices/delete-blob
func (s *store) erase(ctx context.Context, object string, properties http.Header) error {
	h := http.Header{}
	h.Set("x-ms-delete-snapshots", "include")
	h.Set("If-Match", properties.Get("ETag"))
	if err := s.remove(ctx, &call{op: "delete " + object, method: http.MethodDelete, object: object, header: h}); err != nil {
		return err
	}
	if p, err := s.properties(ctx, object); err != nil {
		return err
	} else if p != nil && p.Get("ETag") == properties.Get("ETag") {
		return shield.Errorf(shield.StoreFailed, "", "%s: the service acknowledged that %s is deleted, and still has it", s.account.base, object)
	}
	version := properties.Get("x-ms-version-id")
	if version == "" {
		return nil
	}
	err := s.remove(ctx, &call{op: "delete the version of " + object, method: http.MethodDelete, object: object, query: url.Values{"versionid": {version}}})
	if errors.Is(err, shield.Forbidden) {
		s.log(fmt.Sprintf("%s is deleted, and its version %s stays, since the signature lacks the permission x: %v", object, version, err))
		return nil
	}
	return err
}

// remove sends a call that deletes. What is not there needs no deletion.
func (s *store) remove(ctx context.Context, c *call) error {
	a, err := s.do(ctx, c)
	if err != nil {
		return err
	}
	if a.Status == http.StatusAccepted {
		return nil
	}
	if a.Status == http.StatusPreconditionFailed {
		// A try whose answer was lost may have deleted it.
		if p, err := s.properties(ctx, c.object); err == nil && p == nil {
			return nil
		}
	}
	if err := s.problem(c.op, a); !isMissing(err) {
		return err
	}
	return nil
}

// deleteBlocks removes blocks that were staged for a blob that is not there.
// https://learn.microsoft.com/rest/api/storageservices/get-block-list
func (s *store) deleteBlocks(ctx context.Context, object string) error {
	c := &call{
		op: "list the blocks of " + object, method: http.MethodGet, object: object,
		query: url.Values{"comp": {"blocklist"}, "blocklisttype": {"uncommitted"}},
	}
	a, err := s.do(ctx, c)
	if err != nil {
		return err
	}
	if a.Status == http.StatusOK {
		return s.dropBlocks(ctx, object)
	}
	if err := s.problem(c.op, a); !isMissing(err) {
		return err
	}
	return nil
}

// dropBlocks removes the staged blocks of a blob that is not there. There is
// no request for that: committing none of them drops them all and makes an
// empty blob, which is deleted. Where nothing can be deleted they are left
// alone; the service drops them after a week, and nobody sees them until then.
func (s *store) dropBlocks(ctx context.Context, object string) error {
	if s.keepsEverything(ctx) {
		s.log("the blocks of " + object + " stay until the service drops them, within a week: what the container gets it keeps")
		return nil
	}
	u := &upload{store: s, object: object, token: rest.Token()}
	err := u.commitBlocks(ctx)
	if errors.Is(err, shield.Conflict) {
		return nil // somebody has made the blob
	}
	if err != nil {
		return err
	}
	return u.eraseOwn(ctx)
}

// keepsEverything reports whether a policy keeps all blobs of the container.
// If that cannot be told, because a signature is for blobs only, it is taken
// not to.
// https://learn.microsoft.com/rest/api/storageservices/get-container-properties
func (s *store) keepsEverything(ctx context.Context) bool {
	a, err := s.do(ctx, &call{op: "properties of the container", method: http.MethodHead, query: url.Values{"restype": {"container"}}})
	if err != nil || a.Status != http.StatusOK {
		return false
	}
	for _, name := range []string{"x-ms-has-immutability-policy", "x-ms-has-legal-hold", "x-ms-immutable-storage-with-versioning-enabled"} {
		if a.Header.Get(name) == "true" {
			return true
		}
	}
	return false
}

// eraseOwn removes the blob if it is the one that this upload made.
func (u *upload) eraseOwn(ctx context.Context) error {
	p, err := u.properties(ctx, u.object)
	if err != nil || p == nil || p.Get(tokenHeader) != u.token {
		return err
	}
	return u.erase(ctx, u.object, p)
}

// cleanupTime is how long cleaning up after a failure may take.
const cleanupTime = 30 * time.Second

// discard removes what a failed upload has left. It goes on when ctx is done.
func (u *upload) discard(ctx context.Context) {
	if !u.sent && len(u.staged) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	var err error
	if u.sent {
		err = u.eraseOwn(ctx)
	}
	if err == nil && len(u.staged) > 0 {
		err = u.deleteBlocks(ctx, u.object)
	}
	if err != nil {
		u.log(fmt.Sprintf("what the failed upload has left could not be removed; deleting the key does, later: %v", err))
	}
}
