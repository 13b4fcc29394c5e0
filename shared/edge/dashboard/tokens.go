package dashboard

import (
	"fmt"
	"time"

	"github.com/mastio-aws/mastio/shared/usecase/rotateca"
)

// lastTokens shows when agents last got a token, by the certificate that got it: whether anyone still uses an earlier
// one. It is of the agents that were looked up, and costs nothing beyond that.
type lastTokens struct {
	Hours   []hourBar // the oldest first; the first is everything before the others
	Earlier int64     // agents whose last token in these hours came by a certificate of an earlier Org CA
	Current int64
	Never   int64 // agents without a token on record
}

// hourBar is one hour: two bars on each other, in the picture's units.
type hourBar struct {
	Hour             time.Time // its beginning
	Before           bool      // everything before Hour
	Earlier, Current int64
	Y, H, TopY, TopH int64
	Label            string
}

// Any reports whether there is anything to draw.
func (l lastTokens) Any() bool { return l.Earlier+l.Current > 0 }

// Title is the picture in a sentence.
func (l lastTokens) Title() string {
	return fmt.Sprintf("In the last %d hours %s got their last token with a certificate of an earlier Org CA, and %s "+
		"with one of the current Org CA.", len(l.Hours)-1, plural(int(l.recent(false)), "agent"), count(int(l.recent(true))))
}

func (l lastTokens) recent(current bool) (n int64) {
	for _, h := range l.Hours {
		switch {
		case h.Before:
		case current:
			n += h.Current
		default:
			n += h.Earlier
		}
	}
	return n
}

// lastTokensOf draws what was looked up.
func lastTokensOf(p *rotateca.Progress, now time.Time) (l lastTokens) {
	if p == nil {
		return l
	}
	l.Never = p.LastTokens.Never
	last := now.UTC().Truncate(time.Hour)
	most := int64(1)
	for n := len(p.LastTokens.Hours) - 1; n >= -1; n-- {
		h, of := hourBar{}, p.LastTokens.Older
		if n >= 0 {
			of = p.LastTokens.Hours[n]
		}
		h.Earlier, h.Current, h.Before = of.Earlier, of.Current, false
		h.Hour = last.Add(-time.Duration(n) * time.Hour)
		if n >= 0 {
			l.Hours = append(l.Hours, h)
		} else {
			h.Before, h.Hour = true, last.Add(-time.Duration(len(p.LastTokens.Hours)-1)*time.Hour)
			l.Hours = append([]hourBar{h}, l.Hours...)
		}
		l.Earlier, l.Current = l.Earlier+of.Earlier, l.Current+of.Current
		most = max(most, of.Earlier+of.Current)
	}
	for n := range l.Hours {
		h := &l.Hours[n]
		h.H, h.TopH = h.Current*weekHeight/most, h.Earlier*weekHeight/most
		h.Y, h.TopY = weekHeight-h.H, weekHeight-h.H-h.TopH
		switch {
		case h.Before:
			h.Label = "before"
		case (len(l.Hours)-1-n)%6 == 0:
			h.Label = h.Hour.Format("15:00")
		}
	}
	return l
}
