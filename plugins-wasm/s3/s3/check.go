package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Test does all that archives need with a small object that it removes again,
// and names the permission that is missing.
func (s *store) Test(ctx context.Context) error {
	key := ".shield-test/" + rand.Text()
	content := []byte("shield can write here: " + key + "\n")
	if _, err := s.Put(ctx, key, bytes.NewReader(content)); err != nil {
		return err
	}
	err := shield.FirstError(s.testRead(ctx, key, content), s.testList(ctx, key), s.testParts(ctx, key))
	after, cancel := afterwards(ctx)
	defer cancel()
	removed := s.testRemove(after, key)
	return shield.FirstError(err, removed)
}

func (s *store) testRead(ctx context.Context, key string, content []byte) error {
	r, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, content) {
		return shield.Errorf(shield.Corrupt, op{"test", key, ""}.String(), "%swhat was read is not what was written", s.place())
	}
	return err
}

func (s *store) testList(ctx context.Context, key string) error {
	found := false
	err := s.List(ctx, key, func(o plugin.Object) error {
		found = found || o.Key == key
		return nil
	})
	if err == nil && !found {
		return shield.Errorf(shield.StoreFailed, op{"test", key, ""}.String(), "%swhat was written is not listed", s.place())
	}
	return err
}

// testParts begins an upload in parts, finds it and aborts it.
func (s *store) testParts(ctx context.Context, key string) error {
	name, err := s.object(key + "-parts")
	if err != nil {
		return err
	}
	b := &blobWriter{s: s, key: key, name: name, mark: rand.Text()}
	u, err := b.begin(ctx, name, b.options())
	if err != nil {
		return err
	}
	p, _, err := b.readPart(ctx, strings.NewReader("a part"), make([]byte, 16))
	if err == nil {
		err = u.send(ctx, 1, p)
	}
	if err == nil {
		err = s.attempt(ctx, op{"abort", key, "s3:AbortMultipartUpload"}, func(ctx context.Context) error {
			return s.core.AbortMultipartUpload(ctx, s.c.Bucket, name, u.id)
		})
	}
	if err != nil {
		u.abort(ctx)
		return err
	}
	u.disarm()
	return s.attempt(ctx, op{"list unfinished uploads", key, "s3:ListBucketMultipartUploads"}, func(ctx context.Context) error {
		_, err := s.core.ListMultipartUploads(ctx, s.c.Bucket, name, "", "", "", 10)
		var answer minio.ErrorResponse
		if errors.As(err, &answer) && answer.Code == "NoSuchUpload" {
			return nil
		}
		return err
	})
}

// testRemove takes a lock that the bucket puts on everything for what it is.
func (s *store) testRemove(ctx context.Context, key string) error {
	err := s.Delete(ctx, key)
	var e *shield.Error
	if errors.Is(err, shield.Locked) && errors.As(err, &e) {
		s.log(fmt.Sprintf("the test object %q stays until %s: the bucket locks everything", key, e.Until.UTC().Format(time.RFC3339)))
		return nil
	}
	return err
}
