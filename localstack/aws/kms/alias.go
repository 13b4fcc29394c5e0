package kms

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// alias is a second name of a key, as it is stored.
type alias struct {
	KeyID   string    `json:"key_id"`
	Created time.Time `json:"created"`
}

const (
	aliasPrefix    = "alias/"
	maxAlias       = 256 // bytes of a name, prefix included
	maxKeyAliases  = 50  // the default quota of aliases per key
	reservedPrefix = aliasPrefix + "aws/"
)

var aliasPattern = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]+$`)

func isAlias(ref string) bool { return strings.HasPrefix(ref, aliasPrefix) }

type createAliasRequest struct {
	AliasName   *string
	TargetKeyId *string
}

func (s *Server) createAlias(in *createAliasRequest) (any, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	if strings.HasPrefix(*in.AliasName, reservedPrefix) {
		return nil, faultf("InvalidAliasNameException", "Alias names that begin with %s are reserved.", reservedPrefix)
	}
	if in.TargetKeyId == nil || *in.TargetKeyId == "" {
		return nil, missing("targetKeyId")
	}
	return nil, s.ring.addAlias(*in.AliasName, *in.TargetKeyId, s.now())
}

func checkAlias(name *string) error {
	switch {
	case name == nil || *name == "":
		return missing("aliasName")
	case len(*name) > maxAlias:
		return violation("at", "aliasName", "Member must have length less than or equal to 256")
	case !aliasPattern.MatchString(*name):
		return faultf(codeValidation,
			`Alias must start with the prefix "alias/" and may hold letters, digits, / _ and - only.`)
	}
	return nil
}

func (r *ring) addAlias(name, target string, now time.Time) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	k, err := r.find(&target, managed)
	if err != nil {
		return err
	}
	next := maps.Clone(r.aliasSnapshot())
	if _, taken := next[name]; taken {
		return faultf("AlreadyExistsException", "An alias with the name %s already exists", r.alias(name))
	}
	if len(aliasesOf(next, k.ID)) >= maxKeyAliases {
		return faultf(codeLimitExceeded, "%s has as many aliases as a key may have.", r.key(k.ID))
	}
	next[name] = alias{KeyID: k.ID, Created: now}
	return r.publishAliases(next)
}

// aliasesOf returns the names of a key, or of every key if id is empty, sorted.
func aliasesOf(aliases map[string]alias, id string) []string {
	var names []string
	for name, a := range aliases {
		if id == "" || a.KeyID == id {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

type deleteAliasRequest struct{ AliasName *string }

func (s *Server) deleteAlias(in *deleteAliasRequest) (any, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	return nil, s.ring.dropAlias(*in.AliasName)
}

func (r *ring) dropAlias(name string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	next := maps.Clone(r.aliasSnapshot())
	if _, ok := next[name]; !ok {
		return faultf(codeNotFound, "Alias %s is not found.", r.alias(name))
	}
	delete(next, name)
	return r.publishAliases(next)
}

type listAliasesRequest struct {
	keyRef
	pageRequest
}

type aliasEntry struct {
	AliasArn, AliasName, TargetKeyId string
	CreationDate, LastUpdatedDate    epoch
}

type listAliasesAnswer struct {
	listEnd
	Aliases []aliasEntry
}

func (s *Server) listAliases(in *listAliasesRequest) (any, error) {
	id := ""
	if in.KeyId != nil {
		k, err := s.ring.find(in.KeyId, listed)
		if err != nil {
			return nil, err
		}
		id = k.ID
	}
	aliases := s.ring.aliasSnapshot()
	names, info, err := page(aliasListing, in.pageRequest, aliasesOf(aliases, id), func(n string) string { return n })
	if err != nil {
		return nil, err
	}
	entries := make([]aliasEntry, len(names))
	for i, name := range names {
		a := aliases[name]
		entries[i] = aliasEntry{s.ring.alias(name), name, a.KeyID, epoch{a.Created}, epoch{a.Created}}
	}
	return listAliasesAnswer{info, entries}, nil
}
