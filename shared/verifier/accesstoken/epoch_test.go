package accesstoken

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEpoch(t *testing.T) {
	day := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, tc := range []struct {
		at   string
		want int64
	}{
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T23:59:59.999999999Z", 0},
		{"1970-01-02T00:00:00Z", 1},
		{"1969-12-31T23:59:59.999999999Z", -1},
		{"1969-12-31T00:00:00Z", -1},
		{"2027-01-15T08:00:00Z", 20833},
		{"2027-01-15T01:00:00+02:00", 20832}, // the zone does not matter
	} {
		if got := Epoch(day(tc.at)); got != tc.want {
			t.Errorf("Epoch(%s) = %d, want %d", tc.at, got, tc.want)
		}
	}
}

func TestEveryInstantHasOneSigningKeyThatIsPublished(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<35, 1<<37).Draw(t, "seconds"),
			rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		ttl := time.Duration(rapid.Int64Range(int64(MinLife), int64(MaxLife)).Draw(t, "ttl"))
		e := Epoch(at)
		from, until := SignWindow(e)
		if at.Before(from) || !at.Before(until) || until.Sub(from) != EpochLength {
			t.Fatalf("epoch %d of %v signs from %v to %v", e, at, from, until)
		}
		if next, _ := SignWindow(e + 1); !next.Equal(until) {
			t.Fatalf("epoch %d ends at %v, the next begins at %v", e, until, next)
		}
		if ahead := from.Sub(PublishFrom(e)); ahead != EpochLength {
			t.Fatalf("epoch %d is published %v ahead, want %v", e, ahead, EpochLength)
		}
		if dead := at.Add(ttl); !dead.Before(VerifyUntil(e)) {
			t.Fatalf("a token of %v lives until %v, its key until %v", at, dead, VerifyUntil(e))
		}
	})
}
