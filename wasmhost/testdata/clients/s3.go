package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

// s3 uses minio-go with the requests made by the host.
func (c *clients) s3() []step {
	var m *minio.Client
	const bucket = "bucket"
	content := strings.Repeat("0123456789abcdef", 1<<16)
	return []step{
		{"client", func(context.Context) error {
			u, err := url.Parse(c.URL)
			if err != nil {
				return err
			}
			m, err = minio.New(u.Host, &minio.Options{
				Creds: credentials.NewStaticV4("key", c.Password, ""), Transport: pdkhttp.Transport(), Region: "us-east-1",
				BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
			})
			return err
		}},
		{"put and get", func(ctx context.Context) error {
			_, err := m.PutObject(ctx, bucket, "a b/é", strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{DisableMultipart: true})
			if err != nil {
				return err
			}
			o, err := m.GetObject(ctx, bucket, "a b/é", minio.GetObjectOptions{})
			if err != nil {
				return err
			}
			defer o.Close()
			b, err := io.ReadAll(o)
			if err == nil && string(b) != content {
				err = fmt.Errorf("got %d bytes", len(b))
			}
			return err
		}},
		{"parts of an unknown length", func(ctx context.Context) error {
			info, err := m.PutObject(ctx, bucket, "parts", io.LimitReader(zeros{}, 11<<20), -1, minio.PutObjectOptions{PartSize: 5 << 20, NumThreads: 2})
			if err == nil && info.Size != 11<<20 {
				err = fmt.Errorf("%d bytes were stored", info.Size)
			}
			return err
		}},
		{"together", func(ctx context.Context) error {
			return together(8, func(n int) error {
				_, err := m.PutObject(ctx, bucket, fmt.Sprint("many/", n), bytes.NewReader([]byte{1}), 1, minio.PutObjectOptions{})
				return err
			})
		}},
		{"list", func(ctx context.Context) error {
			n := 0
			for o := range m.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: "many/", Recursive: true}) {
				if o.Err != nil {
					return o.Err
				}
				n++
			}
			if n != 8 {
				return fmt.Errorf("%d objects", n)
			}
			return nil
		}},
		{"missing", func(ctx context.Context) error {
			_, err := m.StatObject(ctx, bucket, "missing", minio.StatObjectOptions{})
			if minio.ToErrorResponse(err).Code != "NoSuchKey" {
				return fmt.Errorf("error is %v", err)
			}
			return nil
		}},
		{"remove", func(ctx context.Context) error {
			return m.RemoveObject(ctx, bucket, "parts", minio.RemoveObjectOptions{})
		}},
		{"timeout", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			_, err := m.StatObject(ctx, bucket, "never", minio.StatObjectOptions{})
			if !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("error is %v", err)
			}
			return nil
		}},
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
