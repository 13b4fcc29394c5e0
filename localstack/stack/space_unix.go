//go:build linux || darwin

package stack

import "syscall"

// freeSpace returns the octets that this user may still write to the disk of a folder.
func freeSpace(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	//nolint:gosec,unconvert // their types differ between systems; neither is negative
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
