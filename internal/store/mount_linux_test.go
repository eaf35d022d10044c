package store

import "syscall"

// mountSmall mounts a file system of 512 KB on dir.
func mountSmall(dir string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k")
}

func unmount(dir string) { syscall.Unmount(dir, syscall.MNT_DETACH) }
