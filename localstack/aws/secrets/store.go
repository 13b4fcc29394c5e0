package secrets

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The two labels that Secrets Manager itself moves; any other one is the caller's.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// mostVersions is how many versions are kept; beyond it the oldest ones without a label go, as on AWS.
const mostVersions = 100

// secret is one secret with all its versions, oldest first.
type secret struct {
	Name        string
	ARN         string
	Description string
	Created     time.Time
	Changed     time.Time
	Versions    []*version
}

// version is one value. It never changes; only its labels do.
type version struct {
	ID      string
	Text    *string
	Binary  []byte
	Stages  []string
	Created time.Time
}

func (v *version) sameValue(text *string, binary []byte) bool {
	if (v.Text == nil) != (text == nil) {
		return false
	}
	return (text == nil || *v.Text == *text) && string(v.Binary) == string(binary)
}

func (s *secret) byID(id string) *version {
	for _, v := range s.Versions {
		if v.ID == id {
			return v
		}
	}
	return nil
}

// labelled finds the version that carries a label; a label is on one version at most.
func (s *secret) labelled(stage string) *version {
	for _, v := range s.Versions {
		if slices.Contains(v.Stages, stage) {
			return v
		}
	}
	return nil
}

// move puts a label on to (nil: takes it away). The version that loses AWSCURRENT becomes AWSPREVIOUS.
func (s *secret) move(stage string, to *version) {
	from := s.labelled(stage)
	if from == to {
		return
	}
	if from != nil {
		from.Stages = slices.DeleteFunc(from.Stages, func(l string) bool { return l == stage })
	}
	if to != nil {
		to.Stages = append(to.Stages, stage)
	}
	if stage == current && from != nil {
		s.move(previous, from)
	}
}

// add appends a version and labels it; the first version of all is current whatever was asked for.
func (s *secret) add(v *version, stages []string) {
	if len(s.Versions) == 0 && !slices.Contains(stages, current) {
		stages = append([]string{current}, stages...)
	}
	s.Versions = append(s.Versions, v)
	// AWSCURRENT goes first: were AWSPREVIOUS asked for as well, it is the caller's word that counts.
	if slices.Contains(stages, current) {
		s.move(current, v)
	}
	for _, stage := range stages {
		s.move(stage, v)
	}
	s.prune()
}

func (s *secret) prune() {
	for i := 0; len(s.Versions) > mostVersions && i < len(s.Versions); {
		if len(s.Versions[i].Stages) == 0 {
			s.Versions = slices.Delete(s.Versions, i, i+1)
		} else {
			i++
		}
	}
}

func (s *secret) stages() map[string][]string {
	byID := map[string][]string{}
	for _, v := range s.Versions {
		if len(v.Stages) > 0 {
			byID[v.ID] = slices.Clone(v.Stages)
		}
	}
	return byID
}

// clone is deep, so that a change that cannot be saved leaves nothing behind.
func (s *secret) clone() *secret {
	c := *s
	c.Versions = nil
	for _, v := range s.Versions {
		w := *v
		w.Stages = slices.Clone(v.Stages)
		c.Versions = append(c.Versions, &w)
	}
	return &c
}

// find takes a name, a full ARN, or an ARN without the random suffix.
func find(all map[string]*secret, id string) *secret {
	if s := all[id]; s != nil || !strings.HasPrefix(id, "arn:") {
		return s
	}
	for _, s := range all {
		if s.ARN == id || strings.TrimSuffix(s.ARN, s.ARN[len(s.ARN)-suffixLength-1:]) == id {
			return s
		}
	}
	return nil
}

const suffixLength = 6

// newARN ends in six random characters as on AWS, so that a secret made again under its old name is another resource.
func newARN(region, account, name string) string {
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", region, account, name, rand.Text()[:suffixLength])
}

// newVersionID is a UUID (RFC 9562 section 5.4).
func newVersionID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // never fails; the process ends when there is no randomness
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func load(path string) (map[string]*secret, error) {
	all := map[string]*secret{}
	if path == "" {
		return all, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &all); err != nil {
		// The parser's words could quote a secret; its type and place say enough.
		return nil, fmt.Errorf("%s is not a file of secrets", path)
	}
	for name, s := range all {
		if s == nil || s.Name != name || len(s.ARN) <= suffixLength || slices.Contains(s.Versions, nil) {
			return nil, fmt.Errorf("%s is not a file of secrets", path)
		}
	}
	return all, nil
}

// save replaces the file whole: a crash leaves the old one or the new one.
func save(path string, all map[string]*secret) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".secrets-*") // created 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when the rename was done
	if err := writeAll(f, b); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func writeAll(f *os.File, b []byte) error {
	_, err := f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
