package dashboard

import (
	"net/http"
	"time"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

const (
	cancelPath = "/proxy/pki/cancel"
	// dateLayout is the value of an input of the type datetime-local (HTML, "local date and time string").
	dateLayout = "2006-01-02T15:04"
	dateWrong  = "Give a date and a time in UTC, one minute to 90 days ahead, or leave it empty to rotate now."
)

// dates are the earliest and the latest date that a form offers.
func dates(now time.Time) (earliest, latest string) {
	now = now.UTC()
	// the form shows whole minutes, and takes a minute to be filled in
	return now.Add(2 * orgca.MinAhead).Truncate(time.Minute).Format(dateLayout),
		now.Add(orgca.MaxAhead).Truncate(time.Minute).Format(dateLayout)
}

// dateOf reads the date of a form, in UTC; the zero time if it is empty. Browsers leave the seconds out where they are
// zero.
func dateOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(dateLayout, text)
	if err != nil {
		at, err = time.Parse(dateLayout+":05", text)
	}
	if err != nil || at.IsZero() {
		return time.Time{}, orgca.ErrAt
	}
	return at, nil
}

// cancel ends the scheduled rotation that the page showed, or the warning that it was dropped.
func (d *Dashboard) cancel(w http.ResponseWriter, r *http.Request) error {
	f, err := d.form(w, r)
	if err != nil {
		return err
	}
	_, err = d.rotate(r, d.order(r, rotateca.Request{
		Mode:           rotateca.Cancel,
		Fingerprint:    f.Get("fingerprint"),
		IdempotencyKey: d.key(r, f),
	}))
	if err != nil {
		return err
	}
	http.Redirect(w, r, pkiPath, http.StatusSeeOther)
	return nil
}
