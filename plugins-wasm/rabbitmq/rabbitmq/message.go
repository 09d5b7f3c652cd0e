package rabbitmq

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A message is one line of an archive.
type message struct {
	Vhost      string `json:"vhost"`
	Queue      string `json:"queue"`
	Exchange   string `json:"exchange,omitempty"` // that it was published to
	RoutingKey string `json:"routing_key,omitempty"`

	ContentType     string                     `json:"content_type,omitempty"`
	ContentEncoding string                     `json:"content_encoding,omitempty"`
	DeliveryMode    uint8                      `json:"delivery_mode,omitempty"`
	Priority        uint8                      `json:"priority,omitempty"`
	CorrelationID   string                     `json:"correlation_id,omitempty"`
	ReplyTo         string                     `json:"reply_to,omitempty"`
	Expiration      string                     `json:"expiration,omitempty"`
	MessageID       string                     `json:"message_id,omitempty"`
	Timestamp       time.Time                  `json:"timestamp,omitzero"`
	Type            string                     `json:"type,omitempty"`
	UserID          string                     `json:"user_id,omitempty"`
	AppID           string                     `json:"app_id,omitempty"`
	Headers         map[string]json.RawMessage `json:"headers,omitempty"`
	Body            []byte                     `json:"body"` // base64
}

// messageOf takes what AMQP delivered.
func messageOf(vhost, queue string, d *amqp.Delivery) (*message, error) {
	m := &message{
		Vhost: vhost, Queue: queue, Exchange: d.Exchange, RoutingKey: d.RoutingKey,
		ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode, Priority: d.Priority,
		CorrelationID: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageID: d.MessageId,
		Timestamp: d.Timestamp, Type: d.Type, UserID: d.UserId, AppID: d.AppId, Body: d.Body,
	}
	if m.Body == nil {
		m.Body = []byte{}
	}
	var err error
	m.Headers, err = encodeTable(d.Headers)
	return m, err
}

// publishing gives back what AMQP is to publish.
func (m *message) publishing() (amqp.Publishing, error) {
	headers, err := decodeTable(m.Headers)
	return amqp.Publishing{
		Headers: headers, ContentType: m.ContentType, ContentEncoding: m.ContentEncoding, DeliveryMode: m.DeliveryMode,
		Priority: m.Priority, CorrelationId: m.CorrelationID, ReplyTo: m.ReplyTo, Expiration: m.Expiration,
		MessageId: m.MessageID, Timestamp: m.Timestamp, Type: m.Type, UserId: m.UserID, AppId: m.AppID, Body: m.Body,
	}, err
}

// A value of a header is {"TYPE": value}, so that its type is not lost; a
// string of UTF-8 stands alone.
func encodeTable(t amqp.Table) (map[string]json.RawMessage, error) {
	if t == nil {
		return nil, nil
	}
	out := map[string]json.RawMessage{}
	for k, v := range t {
		b, err := encodeValue(v)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", k, err)
		}
		out[k] = b
	}
	return out, nil
}

func encodeValue(v any) (json.RawMessage, error) {
	typed := func(name string, v any) (json.RawMessage, error) { return json.Marshal(map[string]any{name: v}) }
	switch v := v.(type) {
	case nil:
		return typed("void", nil)
	case string:
		if utf8.ValidString(v) {
			return json.Marshal(v)
		}
		return typed("string", []byte(v))
	case bool:
		return typed("bool", v)
	case byte:
		return typed("uint8", v)
	case int8:
		return typed("int8", v)
	case int16:
		return typed("int16", v)
	case int32:
		return typed("int32", v)
	case int64:
		return typed("int64", v)
	case float32:
		return typed("float32", v)
	case float64:
		return typed("float64", v)
	case []byte:
		return typed("bytes", v)
	case amqp.Decimal:
		return typed("decimal", []int64{int64(v.Scale), int64(v.Value)})
	case time.Time:
		return typed("time", v.Unix())
	case amqp.Table:
		t, err := encodeTable(v)
		if err != nil {
			return nil, err
		}
		return typed("table", t)
	case []any:
		list := make([]json.RawMessage, 0, len(v))
		for _, item := range v {
			b, err := encodeValue(item)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
		}
		return typed("array", list)
	}
	return nil, fmt.Errorf("a value of type %T cannot be kept", v)
}

func decodeTable(m map[string]json.RawMessage) (amqp.Table, error) {
	if m == nil {
		return nil, nil
	}
	t := amqp.Table{}
	for k, raw := range m {
		v, err := decodeValue(raw)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", k, err)
		}
		t[k] = v
	}
	return t, nil
}

func decodeValue(raw json.RawMessage) (any, error) {
	if len(raw) > 0 && raw[0] == '"' {
		return into[string](raw)
	}
	var typed map[string]json.RawMessage
	if err := json.Unmarshal(raw, &typed); err != nil || len(typed) != 1 {
		return nil, errors.New(`a string or an object like {"int32": 1} is wanted`)
	}
	for name, v := range typed {
		return decodeTyped(name, v)
	}
	return nil, nil
}

func into[T any](raw json.RawMessage) (any, error) {
	var v T
	err := json.Unmarshal(raw, &v)
	return v, err
}

func decodeTyped(name string, raw json.RawMessage) (any, error) {
	switch name {
	case "void":
		return nil, nil
	case "string":
		var b []byte
		err := json.Unmarshal(raw, &b)
		return string(b), err
	case "bool":
		return into[bool](raw)
	case "uint8":
		return into[byte](raw)
	case "int8":
		return into[int8](raw)
	case "int16":
		return into[int16](raw)
	case "int32":
		return into[int32](raw)
	case "int64":
		return into[int64](raw)
	case "float32":
		return into[float32](raw)
	case "float64":
		return into[float64](raw)
	case "bytes":
		return into[[]byte](raw)
	case "decimal":
		var p [2]int64
		err := json.Unmarshal(raw, &p)
		return amqp.Decimal{Scale: uint8(p[0]), Value: int32(p[1])}, err
	case "time":
		var n int64
		err := json.Unmarshal(raw, &n)
		return time.Unix(n, 0), err
	case "table":
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, err
		}
		return decodeTable(m)
	case "array":
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
		out := make([]any, 0, len(list))
		for _, item := range list {
			v, err := decodeValue(item)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	return nil, fmt.Errorf("type %q is unknown", name)
}

// eachLine decodes the messages of one part of an archive.
func eachLine(r io.Reader, yield func(*message) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return unexpected(err)
		}
		d := json.NewDecoder(bytes.NewReader(line))
		m := &message{}
		if err := d.Decode(m); err != nil {
			return err
		}
		if m.Queue == "" || m.Vhost == "" {
			return errors.New("a message without a queue")
		}
		if err := yield(m); err != nil {
			return err
		}
	}
}
