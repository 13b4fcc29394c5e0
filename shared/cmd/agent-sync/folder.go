package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// The names in an identity directory, in addition to those of the files:
//
//	.v-RANDOM/   a set of files, which never changes once it is current
//	current      the link to the set that counts: replacing it moves all files at once
//	cert.pem, key.pem, dpop.jwk   links through current
//	.announced   the set of which the command was run and the signal sent
const (
	setPrefix  = ".v-"
	recordFile = "agent-sync.json"
	pointer    = "current"
	announced  = ".announced"
	nextPrefix = ".next-" // of links and marks on their way to their name; no key is in them
)

// linger is how long a set stays after another took its place: a reader who resolved the link finishes with it.
const linger = time.Minute

// record lies in a set, with its files. The zero record is of files that were not the secret's.
type record struct {
	Version  string    `json:"version"` // of the secret
	Created  time.Time `json:"created"` // when this version was
	Replaces string    `json:"replaces,omitempty"`
}

// folder is an identity directory. It is locked: one at a time works on it.
type folder struct {
	name string
	root *os.Root
	self *os.File // holds the lock
	now  func() time.Time
	step func(string) error // called after each change; tests stop there, as a crash would
}

// openFolder opens the directory, makes it where it is missing, and refuses one that others can write.
func openFolder(name string, now func() time.Time) (*folder, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, cannotWrite(name, err)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, cannotWrite(name, err)
	}
	f := &folder{name: name, root: root, now: now, step: func(string) error { return nil }}
	if err := f.guard(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// guard looks at the directory that is open, which the name cannot be turned away from any more.
func (f *folder) guard() (err error) {
	info, err := f.root.Stat(".")
	if err != nil {
		return cannotWrite(f.name, err)
	}
	if err := private(f.name, info); err != nil {
		return err
	}
	if info.Mode().Perm() != 0o700 {
		if err := f.root.Chmod(".", 0o700); err != nil {
			return cannotWrite(f.name, err)
		}
	}
	if f.self, err = f.root.Open("."); err != nil {
		return cannotWrite(f.name, err)
	}
	if err := lock(f.self); err != nil {
		return &trouble{failed, "another agent-sync is at work on " + f.name,
			"let one run at a time, or give each a directory of its own", err}
	}
	return nil
}

// private refuses a directory in which others could put files of their own.
func private(name string, info fs.FileInfo) error {
	mine, owner := ownedByUs(info)
	switch {
	case !mine:
		return &trouble{unsafe, fmt.Sprintf("%s belongs to %s", name, owner),
			"run agent-sync as the user that the agent runs as, and give it the directory: chown USER " + name, nil}
	case info.Mode().Perm()&0o022 != 0:
		return &trouble{unsafe, fmt.Sprintf("group or others can write %s (mode %04o)", name, info.Mode().Perm()),
			"look at what is in it, then: chmod 700 " + name, nil}
	}
	return nil
}

func cannotWrite(name string, err error) error {
	return &trouble{failed, "the files cannot be written to " + name,
		"the files that are there stay; check the disk, the path, and the owner of " + name, err}
}

// close also releases the lock.
func (f *folder) close() {
	if f.self != nil {
		_ = f.self.Close()
	}
	_ = f.root.Close()
}

// folderContent is what a reader of the directory finds.
type folderContent struct {
	material
	whole bool   // a certificate with its key; all else counts only if it is
	set   string // that the names lead to; empty: they are files of their own
	record
}

// look reads what the names lead to.
func (f *folder) look() (h folderContent) {
	files := map[string][]byte{}
	for _, name := range fileNames {
		if text, err := f.root.ReadFile(name); err == nil {
			files[name] = text
		}
	}
	var err error
	if h.material, err = pair(files); err != nil {
		return folderContent{}
	}
	h.whole = true
	if h.set = f.linked(); h.set != "" {
		h.record, _ = f.recordOf(h.set) // without one, the files are not known to be the secret's
		if len(files) < len(fileNames) {
			h.record = record{}
		}
	}
	return h
}

// linked returns the current set if every name leads into it.
func (f *folder) linked() string {
	for _, name := range fileNames {
		if to, err := f.root.Readlink(name); err != nil || to != path.Join(pointer, name) {
			return ""
		}
	}
	return f.current()
}

// current returns the set that the pointer names; empty if there is none.
func (f *folder) current() string {
	set, err := f.root.Readlink(pointer)
	if err != nil || !strings.HasPrefix(set, setPrefix) || strings.Contains(set, "/") {
		return ""
	}
	return set
}

func (f *folder) recordOf(set string) (r record, err error) {
	text, err := f.root.ReadFile(path.Join(set, recordFile))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

// sweep removes what a crash left, and sets whose time is over.
func (f *folder) sweep() error {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return cannotWrite(f.name, err)
	}
	current := f.current()
	keep := ""
	if r, err := f.recordOf(current); err == nil && current != "" {
		if info, err := f.root.Lstat(pointer); err == nil && f.now().Sub(info.ModTime()).Abs() < linger {
			keep = r.Replaces
		}
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		left := strings.HasPrefix(name, nextPrefix) || strings.HasPrefix(name, setPrefix) && name != current && name != keep
		if !left {
			continue
		}
		if err := f.root.RemoveAll(name); err != nil {
			errs = append(errs, cannotWrite(f.name, err))
		}
	}
	return errors.Join(errs...)
}
