package kms

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// disk is the folder that state survives a restart in: keys/ID.json, aliases.json and token.key, each
// replaced by a rename, so that a crash leaves the old file or the new one. It does not wait for the
// medium (no fsync): the promise is to survive this process, not a power cut.
type disk struct{ dir string } // "" remembers nothing

const (
	keyFolder   = "keys"
	aliasFile   = "aliases.json"
	tokenFile   = "token.key"
	unfinished  = ".tmp-" // prefix of a file whose rename never came
	fileMode    = 0o600
	privateMode = 0o700
)

func openDisk(dir string) (disk, error) {
	d := disk{dir: dir}
	if dir == "" {
		return d, nil
	}
	for _, folder := range []string{dir, filepath.Join(dir, keyFolder)} {
		if err := os.MkdirAll(folder, privateMode); err != nil {
			return d, fmt.Errorf("make state folder: %w", err)
		}
		// A folder that was there before may be open to others.
		if err := os.Chmod(folder, privateMode); err != nil {
			return d, fmt.Errorf("close state folder: %w", err)
		}
	}
	return d, nil
}

// loadKeys reads every key and drops what a crash left half written.
func (d disk) loadKeys() (map[string]*key, error) {
	keys := map[string]*key{}
	if d.dir == "" {
		return keys, nil
	}
	folder := filepath.Join(d.dir, keyFolder)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unfinished) {
			if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
				return nil, fmt.Errorf("drop unfinished key: %w", err)
			}
			continue
		}
		k, err := loadKey(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("load key file %s: %w", e.Name(), err)
		}
		keys[k.ID] = k
	}
	return keys, nil
}

func loadKey(path string) (*key, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := new(key)
	if err := json.Unmarshal(raw, k); err != nil {
		return nil, err
	}
	if _, ok := specs[k.Spec]; !ok || !uuidPattern.MatchString(k.ID) || filepath.Base(path) != k.ID+".json" {
		return nil, errors.New("not a key of this server")
	}
	if k.Material == nil {
		return k, nil
	}
	return k, k.setMaterial(k.Material)
}

func (d disk) putKey(k *key) error {
	return d.put(filepath.Join(keyFolder, k.ID+".json"), k)
}

func (d disk) dropKey(id string) error {
	if d.dir == "" {
		return nil
	}
	err := os.Remove(filepath.Join(d.dir, keyFolder, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an earlier attempt got this far
	}
	return err
}

func (d disk) loadAliases() (map[string]alias, error) {
	aliases := map[string]alias{}
	_, err := d.load(aliasFile, &aliases)
	return aliases, err
}

func (d disk) putAliases(aliases map[string]alias) error { return d.put(aliasFile, aliases) }

// load reads a JSON file into into; found is false if there is none.
func (d disk) load(name string, into any) (found bool, err error) {
	if d.dir == "" {
		return false, nil
	}
	raw, err := os.ReadFile(filepath.Join(d.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("load %s: %w", name, err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("load %s: %w", name, err)
	}
	return true, nil
}

// put replaces a file by value's JSON.
func (d disk) put(name string, value any) error {
	if d.dir == "" {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	path := filepath.Join(d.dir, name)
	// CreateTemp makes the file readable by its owner only.
	tmp, err := os.CreateTemp(filepath.Dir(path), unfinished+"*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(raw)
	if err := errors.Join(err, tmp.Chmod(fileMode), tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
