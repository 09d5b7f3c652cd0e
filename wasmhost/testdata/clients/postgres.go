package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/shieldhq/shield/plugin/pdk"
)

// config says how pgx gets its connections: names are for the host to look up.
func (c *clients) config() (*pgxpool.Config, error) {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable pool_max_conns=4", host, port))
	if err != nil {
		return nil, err
	}
	config.ConnConfig.Password = c.Password
	config.ConnConfig.DialFunc = pdk.Dial
	config.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return config, nil
}

func (c *clients) postgres() []step {
	var pool *pgxpool.Pool
	scalar := func(ctx context.Context, query string, args ...any) (n int, err error) {
		err = pool.QueryRow(ctx, query, args...).Scan(&n)
		return n, err
	}
	return []step{
		{"connect", func(ctx context.Context) error {
			config, err := c.config()
			if err == nil {
				pool, err = pgxpool.NewWithConfig(ctx, config)
			}
			if err == nil {
				err = pool.Ping(ctx)
			}
			return err
		}},
		{"copy in and out", func(ctx context.Context) error {
			if _, err := pool.Exec(ctx, "CREATE TABLE t (a int, b text)"); err != nil {
				return err
			}
			rows := make([][]any, 10_000)
			for n := range rows {
				rows[n] = []any{n, strings.Repeat("x", n%100)}
			}
			if _, err := pool.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"a", "b"}, pgx.CopyFromRows(rows)); err != nil {
				return err
			}
			conn, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			var out bytes.Buffer
			if _, err := conn.Conn().PgConn().CopyTo(ctx, &out, "COPY t TO STDOUT"); err != nil {
				return err
			}
			if n := bytes.Count(out.Bytes(), []byte("\n")); n != len(rows) {
				return fmt.Errorf("%d rows came back", n)
			}
			return nil
		}},
		{"batch", func(ctx context.Context) error {
			b := &pgx.Batch{}
			for n := range 100 {
				b.Queue("SELECT a FROM t WHERE a = $1", n)
			}
			return pool.SendBatch(ctx, b).Close()
		}},
		{"together", func(ctx context.Context) error {
			return together(16, func(n int) error {
				got, err := scalar(ctx, "SELECT count(*) FROM t WHERE a < $1", n)
				if err == nil && got != n {
					err = fmt.Errorf("%d counted %d", n, got)
				}
				return err
			})
		}},
		{"an error of the server", func(ctx context.Context) error {
			_, err := scalar(ctx, "SELECT 1/0")
			var e *pgconn.PgError
			if !errors.As(err, &e) || e.Code != "22012" {
				return fmt.Errorf("error is %v", err)
			}
			return nil
		}},
		{"deadline of a context", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			if _, err := pool.Exec(ctx, "SELECT pg_sleep(600)"); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("error is %v", err)
			}
			return nil
		}},
		{"cancel of a context", func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(100*time.Millisecond, cancel)
			if _, err := pool.Exec(ctx, "SELECT pg_sleep(600)"); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("error is %v", err)
			}
			return nil
		}},
		{"cancel at the server", c.cancelAtServer},
		{"listen and notify", func(ctx context.Context) error {
			conn, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			if _, err := conn.Exec(ctx, "LISTEN news"); err != nil {
				return err
			}
			if _, err := pool.Exec(ctx, "NOTIFY news, 'x'"); err != nil {
				return err
			}
			n, err := conn.Conn().WaitForNotification(ctx)
			if err == nil && n.Payload != "x" {
				err = fmt.Errorf("got %q", n.Payload)
			}
			return err
		}},
		{"usable after that", func(ctx context.Context) error {
			got, err := scalar(ctx, "SELECT count(*) FROM t")
			if err == nil && got != 10_000 {
				err = fmt.Errorf("%d rows", got)
			}
			pool.Close()
			return err
		}},
	}
}

// cancelAtServer asks the server, over another connection, to end a query.
func (c *clients) cancelAtServer(ctx context.Context) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(600)")
		failed <- err
	}()
	time.Sleep(100 * time.Millisecond)
	if err := conn.PgConn().CancelRequest(ctx); err != nil {
		return err
	}
	var e *pgconn.PgError
	if err := <-failed; !errors.As(err, &e) || e.Code != "57014" {
		return fmt.Errorf("error is %v", err)
	}
	return nil
}
