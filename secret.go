package shield

import "log/slog"

// Redacted is what stands for a secret wherever one is shown. Sent back in
// an edit, it means: keep what is stored.
const Redacted = "********"

// A Secret is a text that cannot be printed by accident: every formatting
// verb, JSON and slog show Redacted. Reveal returns the text.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns Redacted.
func (s Secret) String() string { return Redacted }

// GoString returns Redacted.
func (s Secret) GoString() string { return Redacted }

// MarshalText returns Redacted.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue returns Redacted.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }
