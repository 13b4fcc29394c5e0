package dashboard

import (
	"net/http"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// wavesOf reads how the agents are to move: empty, all at once, or what a halt of the usual waves does.
func wavesOf(onHalt string) (orgca.Moves, error) {
	if onHalt == "" {
		return orgca.Moves{}, nil
	}
	m := orgca.Moves{Waves: orgca.DefaultWaves(), Hold: orgca.DefaultHold, OnHalt: orgca.OnHalt(onHalt)}
	return m, m.Check(orgca.MaxOverlap)
}

// reissue takes a step of the re-issue of agents' certificates. The form's number is the idempotency key: a second
// click changes nothing.
func (d *Dashboard) reissue(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	mode, err := rotateca.Action(f.Get("action")).Mode()
	if err != nil {
		return err
	}
	if _, err := d.rotate(r, d.order(r, rotateca.Request{Mode: mode, IdempotencyKey: d.key(r, f)})); err != nil {
		return err
	}
	http.Redirect(w, r, pkiPath, http.StatusSeeOther)
	return nil
}

// reissueChip is the state of a re-issue, as a chip.
func reissueChip(s orgca.ReissueState) chip {
	kind := "bad" // as is what this release does not know
	switch s {
	case orgca.Halted:
	case orgca.Running:
		kind = "info"
	case orgca.Paused:
		kind = "warn"
	case orgca.Finished:
		kind = "good"
	}
	return chip{Kind: kind, Text: string(s)}
}
