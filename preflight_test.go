package shield_test

import (
	"errors"
	"testing"

	"github.com/shieldhq/shield"
)

func TestRefusal(t *testing.T) {
	ok := shield.Found(shield.CheckArchive, shield.FindingOK, "%d bytes", 5)
	warned := shield.FoundError(shield.CheckTarget, shield.FindingWarning, shield.Errorf(shield.NotFound, "", "no database"))
	failed := shield.FoundError(shield.CheckStore, shield.FindingFailed, shield.Errorf(shield.Unavailable, "", "store s is away"))
	later := shield.FoundError(shield.CheckStore, shield.FindingFailed, shield.Corrupt)
	if err := shield.Refusal([]shield.Finding{ok, warned, shield.Found(shield.CheckSpace, shield.FindingSkipped, "?")}); err != nil {
		t.Errorf("refused: %v", err)
	}
	err := shield.Refusal([]shield.Finding{ok, warned, failed, later})
	if !errors.Is(err, shield.Unavailable) || err.Error() != "nothing was restored: store s is away" {
		t.Errorf("got %v", err)
	}
	if got := ok.String(); got != "preflight: archive ok: 5 bytes" {
		t.Errorf("got %q", got)
	}
}
