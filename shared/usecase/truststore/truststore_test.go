package truststore_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/registry"
	"github.com/mastio-aws/mastio/shared/usecase/truststore"
)

// shelf is a truststore that another writer may replace between a read and a write.
type shelf struct {
	present  truststore.Object
	meddle   func(*shelf) // runs before each write
	readErr  error
	writeErr error
	reads    int
	writes   int
}

// Read returns the object.
func (s *shelf) Read(context.Context) (truststore.Object, error) {
	s.reads++
	return s.present, s.readErr
}

// Replace writes iff the ETag is still old.
func (s *shelf) Replace(_ context.Context, data []byte, old string) (string, error) {
	s.writes++
	if s.meddle != nil {
		s.meddle(s)
	}
	if s.writeErr != nil {
		return "", s.writeErr
	}
	if s.present.ETag != old {
		return "", truststore.ErrChanged
	}
	s.put(data)
	return s.present.Version, nil
}

func (s *shelf) put(data []byte) {
	n, _ := strconv.Atoi(s.present.ETag)
	s.present = truststore.Object{PEM: data, ETag: strconv.Itoa(n + 1), Version: "v" + strconv.Itoa(n+1)}
}

func generation(number int64, state orgca.State) orgca.Generation {
	n := strconv.FormatInt(number, 10)
	return orgca.Generation{Number: number, State: state, Root: []byte("root " + n), Issuing: []byte("issuing " + n)}
}

// state is a store.
type state func() ([]orgca.Generation, error)

// Org returns the generations.
func (s state) Org(context.Context) (registry.Org, error) {
	all, err := s()
	return registry.Org{Generations: all}, err
}

// EdgeCAs returns none.
func (s state) EdgeCAs(context.Context) ([]registry.EdgeCA, error) { return nil, nil }

func fixed(all ...orgca.Generation) state {
	return func() ([]orgca.Generation, error) { return all, nil }
}

func contents(data []byte) (texts []string) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		texts = append(texts, string(block.Bytes))
	}
	return texts
}

func TestPEMHoldsEveryGenerationThatWasMadeWhole(t *testing.T) {
	legacy := generation(1, orgca.Superseded)
	legacy.Issuing = nil
	all := []orgca.Generation{
		legacy, generation(2, orgca.Retired), generation(3, orgca.Superseded), generation(4, orgca.Current),
		generation(5, orgca.Failed),
		generation(6, orgca.Staged), generation(7, orgca.Preparing), {Number: 8, State: "unheard of", Root: []byte("x")},
	}
	want := []string{"root 6", "issuing 6", "root 4", "issuing 4", "root 3", "issuing 3", "root 2", "issuing 2", "root 1"}
	if diff := cmp.Diff(want, contents(truststore.PEM(all))); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
	if got := truststore.PEM(nil); len(got) != 0 {
		t.Errorf("bundle of nothing = %q", got)
	}
}

// Whatever was uploaded, the object stays one that API Gateway takes, and has what is needed most in it.
func TestPEMFitsTheEdge(t *testing.T) {
	fat := func(n, octets int) []byte { return append([]byte(strconv.Itoa(n)), make([]byte, octets)...) }
	var all []orgca.Generation
	for n := range 400 {
		all = append(all, orgca.Generation{
			Number:  int64(n + 1),
			State:   orgca.Retired,
			Root:    fat(n, 2000),
			Issuing: fat(1000+n, 1000),
			Above:   [][]byte{fat(2000+n, 3000)},
		})
	}
	all[399].State, all[398].State = orgca.Staged, orgca.Current
	var others []registry.EdgeCA
	for n := range 200 {
		others = append(others, registry.EdgeCA{DER: fat(5000+n, 6000)})
	}
	got := truststore.PEM(all, others...)
	texts := contents(got)
	if len(got) > truststore.MaxOctets || len(got) < truststore.MaxOctets*9/10 || len(texts) > 1000 {
		t.Errorf("%d octets, %d certificates", len(got), len(texts))
	}
	if texts[0] != string(all[399].Root) || texts[3] != string(all[398].Root) ||
		!slices.Contains(texts, string(others[0].DER)) {
		t.Error("what is needed most is missing")
	}
	if bytes.Equal(got, truststore.PEM(all[:399], others...)) || !bytes.Equal(got, truststore.PEM(all, others...)) {
		t.Error("the bundle does not depend on the generations alone")
	}
}

func TestSyncWritesOnlyWhatDiffers(t *testing.T) {
	s := &shelf{}
	for i, c := range []struct {
		generations []orgca.Generation
		version     string
		writes      int
	}{
		{[]orgca.Generation{generation(1, orgca.Current)}, "v1", 1},
		{[]orgca.Generation{generation(1, orgca.Current)}, "v1", 1},
		{[]orgca.Generation{generation(1, orgca.Current), generation(2, orgca.Preparing)}, "v1", 1},
		{[]orgca.Generation{generation(1, orgca.Current), generation(2, orgca.Staged)}, "v2", 2},
		{[]orgca.Generation{generation(1, orgca.Superseded), generation(2, orgca.Current)}, "v2", 2}, // a swap needs no write
		{[]orgca.Generation{generation(1, orgca.Retired), generation(2, orgca.Current)}, "v2", 2},    // nor does a retirement
		{[]orgca.Generation{generation(1, orgca.Failed), generation(2, orgca.Current)}, "v3", 3},
	} {
		version, err := truststore.Sync(t.Context(), s, fixed(c.generations...))
		if err != nil || version != c.version || s.writes != c.writes ||
			!bytes.Equal(s.present.PEM, truststore.PEM(c.generations)) {
			t.Errorf("step %d: version %s after %d writes, %v; want %s after %d", i, version, s.writes, err, c.version, c.writes)
		}
	}
}

// A lost race is decided on the present state: what the winner knew and the loser did not is kept.
func TestSyncThatLosesARace(t *testing.T) {
	all := []orgca.Generation{generation(1, orgca.Current)}
	s := &shelf{meddle: func(s *shelf) {
		if len(all) == 1 {
			all = append(all, generation(2, orgca.Staged))
			s.put([]byte("something else"))
		}
	}}
	version, err := truststore.Sync(t.Context(), s, state(func() ([]orgca.Generation, error) { return all, nil }))
	if err != nil || version != "v2" || !bytes.Equal(s.present.PEM, truststore.PEM(all)) {
		t.Errorf("version %s, %v, object %q", version, err, contents(s.present.PEM))
	}
}

// The answer to a write was lost, but it was carried out: the next look finds the object as wanted.
func TestSyncWhoseWriteWasCarriedOutUnseen(t *testing.T) {
	want := truststore.PEM([]orgca.Generation{generation(1, orgca.Current)})
	s := &shelf{meddle: func(s *shelf) { s.put(want) }}
	version, err := truststore.Sync(t.Context(), s, fixed(generation(1, orgca.Current)))
	if err != nil || version != "v1" || s.writes != 1 {
		t.Errorf("version %s after %d writes, %v", version, s.writes, err)
	}
}

func TestSyncThatGivesUp(t *testing.T) {
	broken := errors.New("broken")
	busy := &shelf{meddle: func(s *shelf) { s.put([]byte("again")) }}
	if _, err := truststore.Sync(t.Context(), busy, fixed(generation(1, orgca.Current))); !errors.Is(err,
		truststore.ErrChanged) || busy.writes != 3 {
		t.Errorf("always beaten: %v after %d writes, want ErrChanged after 3", err, busy.writes)
	}
	if _, err := truststore.Sync(t.Context(), &shelf{readErr: broken}, fixed()); !errors.Is(err, broken) {
		t.Errorf("unreadable: %v", err)
	}
	failing := &shelf{writeErr: broken}
	if _, err := truststore.Sync(t.Context(), failing, fixed(generation(1, orgca.Current))); !errors.Is(err, broken) ||
		failing.writes != 1 {
		t.Errorf("unwritable: %v after %d writes", err, failing.writes)
	}
	unread := &shelf{}
	_, err := truststore.Sync(t.Context(), unread, state(func() ([]orgca.Generation, error) { return nil, broken }))
	if !errors.Is(err, broken) || unread.writes != 0 {
		t.Errorf("without the generations: %v after %d writes", err, unread.writes)
	}
}

// CAs of others stand behind the organisation's own, each once, and no more than there is room for.
func TestPEMHoldsEdgeCAs(t *testing.T) {
	others := []registry.EdgeCA{{DER: []byte("root 1")}}
	for n := range 2 * truststore.MaxEdgeCAs {
		others = append(others, registry.EdgeCA{DER: []byte("SPIRE " + strconv.Itoa(n))})
	}
	got := contents(truststore.PEM([]orgca.Generation{generation(1, orgca.Current)}, others...))
	want := []string{"root 1", "issuing 1", "SPIRE 0", "SPIRE 1"}
	if diff := cmp.Diff(want, got[:4]); diff != "" || len(got) != 2+truststore.MaxEdgeCAs-1 {
		t.Errorf("bundle of %d (-want +got):\n%s", len(got), diff)
	}
}
