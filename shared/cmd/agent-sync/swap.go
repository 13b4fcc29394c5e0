package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path"
)

// install makes next the files of the directory. Each of its steps is one change of the directory, and after every one
// of them a reader finds what was there before, or all of what is new:
//
//	adopt   files that were there under their own names become a set, which the names then lead to
//	stage   write the new set                 a set that nothing leads to; the next sweep removes it
//	point   rename a link over current        the new files; the old set stays for a reader who is in it
//	link    make the names that are missing   (nothing to do after the first time)
//
// A reader that opens the names one after the other can still get a file from before point and one from after it. It
// resolves current once, and opens the files in there; or it reads when the command or the signal says so.
func (f *folder) install(next material, r record, have folderContent) error {
	if have.whole && have.set == "" {
		if err := f.adopt(have); err != nil {
			return cannotWrite(f.name, err)
		}
	}
	if have.whole { // of a broken set nothing stays
		r.Replaces = f.current()
	}
	set, err := f.stage(next, r)
	if err == nil {
		err = f.point(set)
	}
	if err == nil {
		err = f.link(fileNames)
	}
	if err != nil {
		return cannotWrite(f.name, err)
	}
	return nil
}

// adopt puts links in the place of files, one at a time, with the same content behind them.
func (f *folder) adopt(have folderContent) error {
	set, err := f.stage(have.material, record{})
	if err != nil {
		return err
	}
	if err := f.point(set); err != nil {
		return err
	}
	var there []string
	for _, name := range fileNames {
		if _, ok := have.files[name]; ok {
			there = append(there, name)
		}
	}
	return f.link(there)
}

// stage writes a set to the disk.
func (f *folder) stage(m material, r record) (set string, err error) {
	set = setPrefix + rand.Text()
	if err := f.root.Mkdir(set, 0o700); err != nil {
		return "", err
	}
	if err := f.step("make the set"); err != nil {
		return "", err
	}
	note, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	for _, name := range append([]string{recordFile}, fileNames...) {
		text, ok := m.files[name]
		if name == recordFile {
			text, ok = note, true
		}
		if !ok {
			continue
		}
		if err := f.write(path.Join(set, name), text); err != nil {
			return "", err
		}
	}
	return set, f.flush(set)
}

// write makes a file that only its owner can read, and waits until it is on the disk.
func (f *folder) write(name string, text []byte) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return f.step("write " + path.Base(name))
}

// flush waits until a directory's names are on the disk.
func (f *folder) flush(name string) error {
	dir, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

// point makes a set the current one, at once for all files.
func (f *folder) point(set string) error {
	if err := f.replace(pointer, func(next string) error { return f.root.Symlink(set, next) }); err != nil {
		return err
	}
	return f.flush(".")
}

// link makes the names lead into the current set.
func (f *folder) link(names []string) error {
	for _, name := range names {
		to := path.Join(pointer, name)
		if is, err := f.root.Readlink(name); err == nil && is == to {
			continue
		}
		if info, err := f.root.Lstat(name); err == nil && info.IsDir() {
			return fmt.Errorf("%s is a directory: move it away", name)
		}
		if err := f.replace(name, func(next string) error { return f.root.Symlink(to, next) }); err != nil {
			return err
		}
	}
	return f.flush(".")
}

// announce notes that everyone knows of a set.
func (f *folder) announce(set string) error {
	err := f.replace(announced, func(next string) error { return f.write(next, []byte(set+"\n")) })
	if err != nil {
		return cannotWrite(f.name, err)
	}
	return nil
}

// isAnnounced reports whether everyone knows of a set.
func (f *folder) isAnnounced(set string) bool {
	text, err := f.root.ReadFile(announced)
	return err == nil && string(text) == set+"\n"
}

// replace makes something under a name of its own and renames it.
func (f *folder) replace(name string, build func(next string) error) error {
	next := nextPrefix + rand.Text()
	if err := build(next); err != nil {
		return err
	}
	if err := f.step("make " + name); err != nil {
		return err
	}
	if err := f.root.Rename(next, name); err != nil {
		return err
	}
	return f.step("rename " + name)
}
