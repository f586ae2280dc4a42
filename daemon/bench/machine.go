package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine describes what the figures were measured on.
func machine(dir string) (string, error) {
	sync, err := fsyncTime(dir)
	if err != nil {
		return "", fmt.Errorf("measure fsync: %w", err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	load, _, _ := strings.Cut(field("/proc/loadavg", ""), " ")
	return fmt.Sprintf("%d × %s, %s RAM, Linux %s, %s, fsync of 4 KiB p50 %s p99 %s, load average at the end %s.",
		runtime.NumCPU(), field("/proc/cpuinfo", "model name"), memory(), unix.ByteSliceToString(u.Release[:]),
		runtime.Version(), ms(sync.quantile(0.5)), ms(sync.quantile(0.99)), load), nil
}

// field is the value of the first line "key : value" of a file of /proc; with
// an empty key, the whole first line.
func field(file, key string) string {
	b, err := os.ReadFile(file) //nolint:gosec // a file of /proc
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		name, value, found := strings.Cut(line, ":")
		if key == "" {
			return strings.TrimSpace(line)
		}
		if found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memory() string {
	var kb float64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kb); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.0f GiB", kb/(1<<20))
}

// fsyncTime is how long the disk under dir takes to make 4 KiB durable.
func fsyncTime(dir string) (*hist, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a temporary file
	page := make([]byte, 4096)
	h := &hist{}
	for range 200 {
		if _, err := f.Write(page); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		at := time.Now()
		if err := f.Sync(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		h.add(time.Since(at))
	}
	return h, f.Close()
}
