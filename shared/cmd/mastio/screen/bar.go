package screen

import (
	"fmt"
	"strings"
	"time"
)

// barWidth is how many characters a bar has.
const barWidth = 30

// Bar is a progress bar of done out of all.
func Bar(done, all int64) string {
	filled, percent := barWidth, int64(100)
	if all > 0 {
		filled, percent = int(done*barWidth/all), done*100/all
	}
	filled = min(max(filled, 0), barWidth)
	return fmt.Sprintf("[%s%s] %3d %%", strings.Repeat("#", filled), strings.Repeat("-", barWidth-filled), percent)
}

// Span is a duration in its two largest units.
func Span(d time.Duration) string {
	if d < 0 {
		return "over"
	}
	d = d.Round(time.Second)
	day := 24 * time.Hour
	switch {
	case d >= 2*365*day:
		return fmt.Sprintf("%d years", d/(365*day))
	case d >= 30*day || d >= day && d%day < time.Hour:
		return fmt.Sprintf("%d d", d/day)
	case d >= day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// Remaining estimates how long the rest takes at the pace since begun; false: there is no pace yet.
func Remaining(done, before, all int64, since time.Duration) (time.Duration, bool) {
	if done <= before || since <= 0 || all <= done {
		return 0, all <= done
	}
	return time.Duration(float64(since) / float64(done-before) * float64(all-done)), true
}
