package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shieldhq/shield/plugin/pdk"
)

// redis uses go-redis over connections that the host has dialed.
func (c *clients) redis() []step {
	r := redis.NewClient(&redis.Options{
		Addr: c.Addr, Password: c.Password, Dialer: pdk.Dial, PoolSize: 8, MaxRetries: -1, ContextTimeoutEnabled: true,
		ReadTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second, PoolTimeout: 20 * time.Second,
	})
	return []step{
		{"set and get", func(ctx context.Context) error {
			value := strings.Repeat("x", 1<<20)
			if err := r.Set(ctx, "key", value, 0).Err(); err != nil {
				return err
			}
			got, err := r.Get(ctx, "key").Result()
			if err == nil && got != value {
				err = fmt.Errorf("got %d bytes", len(got))
			}
			return err
		}},
		{"missing", func(ctx context.Context) error {
			if err := r.Get(ctx, "missing").Err(); err != redis.Nil {
				return fmt.Errorf("error is %v", err)
			}
			return nil
		}},
		{"pipeline", func(ctx context.Context) error {
			_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
				for n := range 1000 {
					p.RPush(ctx, "list", n)
				}
				return nil
			})
			if n, _ := r.LLen(ctx, "list").Result(); err == nil && n != 1000 {
				err = fmt.Errorf("the list has %d", n)
			}
			return err
		}},
		{"together", func(ctx context.Context) error {
			err := together(32, func(int) error {
				for range 20 {
					if err := r.Incr(ctx, "count").Err(); err != nil {
						return err
					}
				}
				return nil
			})
			if n, _ := r.Get(ctx, "count").Int(); err == nil && n != 640 {
				err = fmt.Errorf("the count is %d", n)
			}
			return err
		}},
		{"published", func(ctx context.Context) error {
			s := r.Subscribe(ctx, "channel")
			defer s.Close()
			if _, err := s.Receive(ctx); err != nil {
				return err
			}
			if err := r.Publish(ctx, "channel", "news").Err(); err != nil {
				return err
			}
			m, err := s.ReceiveMessage(ctx)
			if err == nil && m.Payload != "news" {
				err = fmt.Errorf("got %q", m.Payload)
			}
			return err
		}},
		{"read timeout", func(ctx context.Context) error {
			impatient := redis.NewClient(&redis.Options{Addr: c.Addr, Password: c.Password, Dialer: pdk.Dial, MaxRetries: -1, ReadTimeout: 200 * time.Millisecond})
			defer impatient.Close()
			err := impatient.Do(ctx, "BLPOP", "nothing", 0).Err()
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				return fmt.Errorf("error is %v, want a timeout", err)
			}
			return nil
		}},
		{"deadline of a context", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			var timeout net.Error
			if err := r.Do(ctx, "BLPOP", "nothing", 0).Err(); !errors.As(err, &timeout) || !timeout.Timeout() {
				return fmt.Errorf("error is %v, want a timeout", err)
			}
			return nil
		}},
		{"usable after that", func(ctx context.Context) error { return r.Ping(ctx).Err() }},
		{"closed", func(ctx context.Context) error {
			if err := r.Close(); err != nil {
				return err
			}
			if err := r.Ping(ctx).Err(); !errors.Is(err, redis.ErrClosed) {
				return fmt.Errorf("error is %v", err)
			}
			return nil
		}},
	}
}
