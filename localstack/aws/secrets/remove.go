package secrets

import (
	"maps"
	"slices"
	"strings"
	"time"
)

type removeInput struct {
	SecretId                   string
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

type removeOutput struct {
	ARN, Name    string
	DeletionDate epoch
}

// remove deletes a secret at once. AWS keeps it for a window in which nothing can read it, and in which its name cannot
// be used again unless the deletion is forced.
func (s *Server) remove(in removeInput) (any, error) {
	if days := in.RecoveryWindowInDays; days != nil && (in.ForceDeleteWithoutRecovery || *days < 7 || *days > 30) {
		return nil, refuse("InvalidParameterException", "RecoveryWindowInDays takes 7 to 30, and no forced deletion")
	}
	found, err := s.lookup(in.SecretId)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(s.secrets)
	delete(next, found.Name)
	window := 30 * 24 * time.Hour
	if in.ForceDeleteWithoutRecovery {
		window = 0
	} else if in.RecoveryWindowInDays != nil {
		window = time.Duration(*in.RecoveryWindowInDays) * 24 * time.Hour
	}
	return removeOutput{found.ARN, found.Name, at(s.cfg.Now().Add(window))}, s.replace(next)
}

type listInput struct {
	Filters []struct {
		Key    string
		Values []string
	}
	MaxResults int
	NextToken  string
	SortOrder  string
}

type listOutput struct {
	SecretList []describeOutput
}

// list answers all secrets, by name, in one page. The one filter that it knows is the beginning of the name.
func (s *Server) list(in listInput) (any, error) {
	out := listOutput{SecretList: []describeOutput{}}
	for _, f := range in.Filters {
		if f.Key != "name" {
			return nil, refuse("InvalidParameterException", "this stand-in filters by name only, not by %q", f.Key)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		matches := true
		for _, f := range in.Filters {
			begins := func(value string) bool { return strings.HasPrefix(name, value) }
			matches = matches && slices.ContainsFunc(f.Values, begins)
		}
		if one := s.secrets[name]; matches {
			out.SecretList = append(out.SecretList, describeOutput{one.ARN, one.Name, one.Description, at(one.Created),
				at(one.Changed), nil})
		}
	}
	return out, nil
}
