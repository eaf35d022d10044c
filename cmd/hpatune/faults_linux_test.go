package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A disk that fills up in the middle of a run: the run ends, says so, and what
// was written can be read.
func TestAFullDiskKeepsThePartialRun(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small file system")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	dir := t.TempDir()
	url, _ := counting(t)
	p := start(t, dir, "run", "--url", url, "-p", write(t, dir, "long.yaml", longProfile), "--out", filepath.Join(disk, "run"), "--yes")
	until(t, "a first part", func() bool {
		parts, _ := filepath.Glob(filepath.Join(disk, "run", "requests", "part-*.parquet"))
		return len(parts) > 0
	})
	fill(t, filepath.Join(disk, "filler"))
	p.wait().want(t, 1, "no space left on device", "The partial run is kept", "partial")
	os.Remove(filepath.Join(disk, "filler"))
	readable(t, dir, filepath.Join(disk, "run"))
}

// fill takes what is left of a file system.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
