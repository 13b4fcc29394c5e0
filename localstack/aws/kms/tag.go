package kms

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// tag is one tag on the wire.
type tag struct{ TagKey, TagValue *string }

// The limits of tags; lengths in characters.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// tagPattern is the alphabet of both halves of a tag.
var tagPattern = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// addTags puts more into tags, or refuses all of more.
func addTags(tags map[string]string, more []tag) error {
	seen := map[string]bool{}
	for _, t := range more {
		if err := t.check(); err != nil {
			return err
		}
		if seen[*t.TagKey] {
			return faultf(codeTag, "Duplicate tag keys.")
		}
		seen[*t.TagKey] = true
		tags[*t.TagKey] = *t.TagValue
	}
	if len(tags) > maxTags {
		return faultf(codeTag, "Too many tags")
	}
	return nil
}

func (t tag) check() error {
	switch {
	case t.TagKey == nil:
		return missing("tags.member.tagKey")
	case t.TagValue == nil:
		return missing("tags.member.tagValue")
	case *t.TagKey == "" || utf8.RuneCountInString(*t.TagKey) > maxTagKey:
		return violation("at", "tags.member.tagKey", "Member must have length between 1 and 128")
	case utf8.RuneCountInString(*t.TagValue) > maxTagValue:
		return violation("at", "tags.member.tagValue", "Member must have length less than or equal to 256")
	case strings.HasPrefix(strings.ToLower(*t.TagKey), "aws:"):
		return faultf(codeTag, "Tags beginning with aws: are reserved")
	case !tagPattern.MatchString(*t.TagKey) || !tagPattern.MatchString(*t.TagValue):
		return faultf(codeTag, "A tag holds a character that is not allowed.")
	}
	return nil
}

type tagRequest struct {
	keyRef
	Tags []tag
}

func (s *Server) tagResource(in *tagRequest) (any, error) {
	if in.Tags == nil {
		return nil, missing("tags")
	}
	_, err := s.ring.change(in.KeyId, managed, func(k *key) error {
		if k.Tags == nil {
			k.Tags = map[string]string{}
		}
		return addTags(k.Tags, in.Tags)
	})
	return nil, err
}

type untagRequest struct {
	keyRef
	TagKeys []string
}

func (s *Server) untagResource(in *untagRequest) (any, error) {
	if in.TagKeys == nil {
		return nil, missing("tagKeys")
	}
	_, err := s.ring.change(in.KeyId, managed, func(k *key) error {
		for _, name := range in.TagKeys {
			delete(k.Tags, name)
		}
		return nil
	})
	return nil, err
}

type listTagsRequest struct {
	keyRef
	pageRequest
}

type tagEntry struct{ TagKey, TagValue string }

type listTagsAnswer struct {
	listEnd
	Tags []tagEntry
}

func (s *Server) listResourceTags(in *listTagsRequest) (any, error) {
	k, err := s.ring.find(in.KeyId, listed)
	if err != nil {
		return nil, err
	}
	names, info, err := page(tagListing, in.pageRequest, slices.Sorted(maps.Keys(k.Tags)),
		func(n string) string { return n })
	if err != nil {
		return nil, err
	}
	entries := make([]tagEntry, len(names))
	for i, name := range names {
		entries[i] = tagEntry{name, k.Tags[name]}
	}
	return listTagsAnswer{info, entries}, nil
}
